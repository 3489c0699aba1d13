"""The panels of the main screen and its header, tabs and footer: one file each."""
