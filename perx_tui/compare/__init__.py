"""Runs beside one another: chosen by name, printed as tables, or shown on a screen of their own.

The screen (`perx_tui.compare.screen`) is imported only when it is shown; the rest loads no Textual.
"""
