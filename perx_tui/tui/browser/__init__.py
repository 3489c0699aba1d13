"""The runs of a folder on a screen: `perx-tui runs` on a terminal, and a screen of the training app."""
