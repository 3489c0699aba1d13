"""The terminal application: command line, Textual app and headless front end over the training engine."""

from __future__ import annotations

__version__ = "0.1.0"
