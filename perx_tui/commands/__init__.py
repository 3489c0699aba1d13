"""One module for each command: `configure` declares its arguments, `run` does it and returns the exit code.

The command line imports only the module it needs, and these modules import the engine only in `run`, so that help and
usage errors answer at once.
"""
