"""`python -m perx_tui` does what `perx-tui` does."""

from __future__ import annotations

import sys

from perx_tui.cli import main

if __name__ == "__main__":
    sys.exit(main())
