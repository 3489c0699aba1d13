"""Settings for all tests."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A change is judged by the same examples each time it is checked; searching for new ones is for everyone else.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_configure() -> None:
    """A shell has its background jobs ignore SIGINT, and programs that tests start would inherit that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """So that tests that need a GPU can be tried on a machine without one, before they meet one."""
    parser.addoption("--pretend-gpu", action="store_true", help="run tests marked gpu on one that is not there")


@pytest.fixture(autouse=True, scope="session")
def pretended_gpu(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The GPU that is not there, where it is asked for."""
    if not request.config.getoption("--pretend-gpu"):
        yield
        return
    from tests.engine.device.pretended_gpu import PretendedGpu
    from tests.engine.device.pretended_torch import install

    gpu = PretendedGpu()
    with pytest.MonkeyPatch.context() as patch:
        install(gpu, patch, tmp_path_factory.mktemp("kernels"))
        with gpu.here():
            yield


@pytest.fixture(autouse=True, scope="session")
def own_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What is kept for a person is neither read nor changed, by programs that tests start either. To those the tests
    are nobody new, whichever of them comes first."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "perx-tui").mkdir()
    (folder / "perx-tui" / "welcomed").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield folder / "perx-tui"


@pytest.fixture(autouse=True)
def standard_layout(own_settings: Path) -> None:
    """How one test has arranged the panels is nothing to the next."""
    (own_settings / "layout.json").unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def keep_denormals() -> Iterator[None]:
    """A trainer flushes denormals in its thread, which here is everybody's: other tests need them."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that needs a GPU says so where there is none."""
    marker = item.get_closest_marker("gpu")
    if marker is None:
        return
    if item.config.getoption("--pretend-gpu"):
        if marker.kwargs.get("driver"):
            pytest.skip("asks the driver of a GPU, which nobody pretends to have")
        return
    import torch  # seconds that only these tests are worth

    if not torch.cuda.is_available():
        build = "is a CPU build" if torch.version.cuda is None else "finds no GPU"
        pytest.skip(f"needs a GPU: torch {torch.__version__} {build}")
