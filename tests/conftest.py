"""Settings for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# A change is judged by the same examples each time it is checked; searching for new ones is for everyone else.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
