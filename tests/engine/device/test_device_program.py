"""The edge to NVRTC and the driver: what they are called with, in which order, and every way in which they refuse."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import c_envs
from c_envs.device import KERNELS, OPTIONS, DeviceLayout, device_program
from engine import device_choice, kernel_cache
from engine import device_program as edge
from engine.device_environments import DeviceBatch
from engine.errors import DeviceError
from tests.engine.conftest import tiny_profile
from tests.engine.device.host_device import HOST, HOST_STREAM, device_buffers, host_launcher

CUDA = torch.device("cuda", 0)
CODE = b"\x7fELF\0machine code\0"


class Function:
    """A C function of a fake library; ctypes' attributes can be set on it."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self.work, self.restype = work, ctypes.c_int

    def __call__(self, *arguments: Any) -> Any:
        return self.work(*arguments)


class FakeNvrtc:
    """Compiles everything to CODE, or refuses in the call named `refuse` with `status`. `calls` are in order."""

    def __init__(self, refuse: str = "", status: int = 6, log: bytes = b"") -> None:
        self.refuse, self.status, self.log = refuse, status, log
        self.calls: list[str] = []
        self.source = self.name = b""
        self.headers: dict[bytes, bytes] = {}
        self.options: list[bytes] = []
        self.nvrtcGetErrorString = Function(lambda status: {6: b"NVRTC_ERROR_COMPILATION"}.get(status.value))

    def __getattr__(self, name: str) -> Function:
        if not name.startswith("nvrtc"):
            raise AttributeError(name)

        def call(*arguments: Any) -> int:
            self.calls.append(name)
            getattr(self, f"_{name}")(*arguments)
            return self.status if name == self.refuse else 0

        return Function(call)

    def _nvrtcVersion(self, major: Any, minor: Any) -> None:
        major._obj.value, minor._obj.value = 13, 1

    def _nvrtcCreateProgram(self, handle: Any, source: bytes, name: bytes, count: Any, texts: Any, names: Any) -> None:
        handle._obj.value = 77
        self.source, self.name = source, name
        self.headers = {names[i]: texts[i] for i in range(count.value)}

    def _nvrtcCompileProgram(self, handle: Any, count: Any, options: Any) -> None:
        assert handle.value == 77
        self.options = [options[i] for i in range(count.value)]

    def _nvrtcGetProgramLogSize(self, handle: Any, size: Any) -> None:
        size._obj.value = len(self.log) + 1

    def _nvrtcGetProgramLog(self, handle: Any, text: Any) -> None:
        text.value = self.log

    def _nvrtcGetCUBINSize(self, handle: Any, size: Any) -> None:
        size._obj.value = len(CODE)

    def _nvrtcGetCUBIN(self, handle: Any, text: Any) -> None:
        text.raw = CODE

    def _nvrtcDestroyProgram(self, handle: Any) -> None:
        assert handle._obj.value == 77


class FakeDriver:
    """Loads and launches, or refuses in the call named `refuse`."""

    def __init__(self, refuse: str = "", status: int = 719, refused_code: bytes = b"") -> None:
        self.refuse, self.status, self.refused_code = refuse, status, refused_code
        self.loaded = b""
        self.functions: list[bytes] = []
        self.launches: list[dict[str, Any]] = []
        self.granted: list[tuple[str, int, int]] = []
        self.threads: list[int] = []
        """Those that were given the context, in order."""

    def _answer(self, call: str) -> int:
        return self.status if call == self.refuse else 0

    def cuCtxGetCurrent(self, context: Any) -> int:
        context._obj.value = 0xC0
        return self._answer("cuCtxGetCurrent")

    def cuCtxSetCurrent(self, context: Any) -> int:
        assert context.value == 0xC0
        self.threads.append(threading.get_ident())
        return self._answer("cuCtxSetCurrent")

    def cuModuleLoadData(self, module: Any, code: bytes) -> int:
        module._obj.value = 5
        self.loaded = code
        return self.status if code == self.refused_code else self._answer("cuModuleLoadData")

    def cuModuleGetFunction(self, kernel: Any, module: Any, name: bytes) -> int:
        assert module.value == 5
        self.functions.append(name)
        kernel._obj.value = 100 + len(self.functions)
        return self._answer("cuModuleGetFunction")

    def cuFuncSetAttribute(self, kernel: Any, attribute: Any, value: Any) -> int:
        self.granted.append((self.functions[kernel.value - 101].decode(), attribute.value, value.value))
        return self._answer("cuFuncSetAttribute")

    def cuLaunchKernel(self, kernel: Any, *rest: Any) -> int:
        numbers, stream, arguments, extra = [each.value for each in rest[:7]], rest[7], rest[8], rest[9]
        assert extra is None
        layout = ctypes.cast(arguments[0], ctypes.POINTER(DeviceLayout)).contents
        self.launches.append(
            {
                "kernel": self.functions[kernel.value - 101].decode(),
                "grid": tuple(numbers[:3]),
                "block": tuple(numbers[3:6]),
                "shared": numbers[6],
                "stream": stream.value,
                "layout": {name: getattr(layout, name) for name, _ in DeviceLayout._fields_},
                "numbers": [
                    ctypes.cast(arguments[i], ctypes.POINTER(ctypes.c_uint64)).contents.value
                    for i in range(1, len(arguments))
                ],
            }
        )
        return self._answer("cuLaunchKernel")

    def cuGetErrorString(self, status: Any, text: Any) -> int:
        if status.value != 719:
            return 1
        text._obj.value = b"unspecified launch failure"
        return 0


def launcher(driver: FakeDriver, stream: int = 4711) -> edge.CudaLauncher:
    return edge.CudaLauncher(driver, CODE, lambda: stream)


def test_the_compiler_is_given_source_headers_and_what_keeps_the_bytes_of_the_cpu() -> None:
    library = FakeNvrtc()
    program = device_program("maze", {})
    assert edge.Compiler(library).compile(program, "sm_90") == CODE
    assert library.source == program.source.encode()
    assert library.name == b"maze.cu"
    assert set(library.headers) == {b"maze.h", b"env.h", b"random.h", b"play.h", b"device.h"}
    assert library.headers[b"maze.h"] == (Path(c_envs.__file__).parent / "maze.h").read_bytes()
    assert library.options == [*(each.encode() for each in OPTIONS), b"--gpu-architecture=sm_90"]
    assert b"--fmad=false" in library.options
    assert not any(b"fast" in option for option in library.options)
    assert library.calls == [
        "nvrtcCreateProgram",
        "nvrtcCompileProgram",
        "nvrtcGetCUBINSize",
        "nvrtcGetCUBIN",
        "nvrtcDestroyProgram",
    ]


def test_a_program_that_does_not_compile_shows_the_log_and_is_destroyed() -> None:
    log = b'maze.h(7): error: identifier "x" is undefined\n' + b"line\n" * 100
    library = FakeNvrtc(refuse="nvrtcCompileProgram", log=log)
    with pytest.raises(DeviceError) as caught:
        edge.Compiler(library).compile(device_program("maze", {}), "sm_90")
    lines = str(caught.value).splitlines()
    assert lines[0] == "maze.cu does not compile for sm_90 (NVRTC_ERROR_COMPILATION); the log says:"
    assert lines[1] == 'maze.h(7): error: identifier "x" is undefined'
    assert len(lines) == 41
    assert library.calls[-1] == "nvrtcDestroyProgram"


@pytest.mark.parametrize("call", ["nvrtcCreateProgram", "nvrtcGetCUBINSize", "nvrtcGetCUBIN"])
def test_a_call_that_the_compiler_refuses_is_named(call: str) -> None:
    with pytest.raises(DeviceError, match=rf"^{call}: unknown error \(9\)$"):
        edge.Compiler(FakeNvrtc(refuse=call, status=9)).compile(device_program("bandit", {}), "sm_75")


def test_kernels_are_launched_on_the_stream_with_the_addresses_of_the_tensors() -> None:
    driver = FakeDriver()
    batch = DeviceBatch("maze", 65, launcher=launcher(driver), device=HOST, seed=9, slots=4)
    buffers = device_buffers(batch)
    batch.bind(**buffers)
    batch.reset(episode_seed=2**64 - 1)
    batch.step(3)
    batch.step(1, 10, 33)
    assert driver.loaded == CODE
    assert [name.decode() for name in driver.functions] == list(KERNELS)
    reset, observe, step, part = driver.launches
    assert [each["kernel"] for each in driver.launches] == [
        "device_reset",
        "device_observe",
        "device_step",
        "device_step",
    ]
    assert [each["numbers"] for each in driver.launches] == [[2**64 - 1], [0], [3, 0, 65], [1, 10, 43]]
    assert reset["grid"] == observe["grid"] == step["grid"] == (3, 1, 1)
    assert part["grid"] == (2, 1, 1)
    for each in driver.launches:
        assert (each["block"], each["shared"], each["stream"]) == ((32, 1, 1), 0, 4711)
        assert {name: each["layout"][name] for name in buffers} == {
            name: tensor.data_ptr() for name, tensor in buffers.items()
        }
        assert each["layout"]["environments"] == 65
        assert each["layout"]["states"] == batch._states.data_ptr()
        assert each["layout"]["sums"] == batch.sums.data_ptr()
    constants = ctypes.string_at(step["layout"]["config"], 100)
    assert constants == c_envs.Batch("maze", 1, seed=9).constants()[:100]


def test_a_real_library_gets_every_argument_whole(tmp_path: Path) -> None:
    """Through ctypes to C: a stream's address of 64 bits, the struct by value, and the errors' words back."""
    through = host_launcher("bandit", {}, tmp_path)
    batch = DeviceBatch("bandit", 33, launcher=through, device=HOST, slots=1)
    batch.bind(**device_buffers(batch))
    batch.reset()
    batch.step(0)
    driver = through._driver
    assert ctypes.c_uint.in_dll(driver, "host_launches").value == 3
    assert ctypes.c_void_p.in_dll(driver, "host_stream").value == HOST_STREAM
    with pytest.raises(
        DeviceError, match=r"^cuLaunchKernel\(device_step, 0 blocks\): a host has no words for it \(1\)$"
    ):
        through.launch("device_step", 0, DeviceLayout())


def test_every_thread_that_launches_has_the_context_of_the_one_that_loaded() -> None:
    """Autograd launches from threads of its own, which torch may not have taken to the driver yet."""
    driver = FakeDriver()
    batch = DeviceBatch("bandit", 2, launcher=launcher(driver), device=HOST, slots=1)
    batch.bind(**device_buffers(batch))
    for _ in range(2):
        batch.reset()
        other = threading.Thread(target=batch.reset)
        other.start()
        other.join()
    assert len(driver.launches) == 8
    assert driver.threads[0] == threading.get_ident()
    assert len(driver.threads) == 3, "once in each thread"
    with pytest.raises(DeviceError, match=r"^cuCtxSetCurrent: unspecified launch failure"):
        launcher(FakeDriver(refuse="cuCtxSetCurrent")).launch("device_step", 1)


@pytest.mark.parametrize("call", ["cuCtxGetCurrent", "cuModuleLoadData", "cuModuleGetFunction"])
def test_code_that_the_driver_does_not_take_is_an_error_with_its_words(call: str) -> None:
    with pytest.raises(DeviceError, match=rf"^{call}.*: unspecified launch failure \(719\)$"):
        launcher(FakeDriver(refuse=call))


def test_a_kernel_that_shares_memory_gets_as_much_as_it_asks_for() -> None:
    driver = FakeDriver()
    through = edge.CudaLauncher(driver, CODE, lambda: 1, ("alone", "together"), 64, {"together": 100_000})
    assert driver.granted == [("together", 8, 100_000)]
    for name in ("alone", "together"):
        through.launch(name, 3, DeviceLayout())
    assert [(each["block"], each["shared"]) for each in driver.launches] == [((64, 1, 1), 0), ((64, 1, 1), 100_000)]
    with pytest.raises(
        DeviceError,
        match=r"^cuFuncSetAttribute\(together, 100,000 bytes of memory for a block\): unspecified launch failure",
    ):
        edge.CudaLauncher(
            FakeDriver(refuse="cuFuncSetAttribute"), CODE, lambda: 1, ("together",), 64, {"together": 100_000}
        )


def test_a_launch_that_fails_names_the_kernel() -> None:
    batch = DeviceBatch(
        "bandit", 33, launcher=launcher(FakeDriver(refuse="cuLaunchKernel", status=1)), device=HOST, slots=1
    )
    batch.bind(**device_buffers(batch))
    with pytest.raises(DeviceError, match=r"^cuLaunchKernel\(device_step, 2 blocks\): unknown error \(1\)$"):
        batch.step(0)


def test_the_compiler_of_torchs_cuda_version_is_looked_for_beside_torch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By its name first, as the loader finds it or torch has it loaded; then in the wheels that come with torch."""
    wheel = tmp_path / "nvidia" / "cu13" / "lib" / "libnvrtc.so.13"
    wheel.parent.mkdir(parents=True)
    wheel.touch()
    (tmp_path / "nvidia" / "cu12").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    tried: list[str] = []

    def load(place: str) -> str:
        tried.append(place)
        if place != str(wheel):
            raise OSError(f"{place}: cannot open shared object file")
        return "the library"

    assert edge.load_compiler(load) == "the library"
    assert tried == ["libnvrtc.so.13", str(wheel)]

    def nothing(place: str) -> str:
        raise OSError(place)

    with pytest.raises(
        DeviceError, match=r"^no NVRTC for CUDA 13.0 \(tried libnvrtc.so.13, .*; pip install nvidia-cuda-nvrtc$"
    ):
        edge.load_compiler(nothing)
    monkeypatch.setattr(torch.version, "cuda", "12.6")
    with pytest.raises(DeviceError, match=r"tried libnvrtc.so.12.*pip install nvidia-cuda-nvrtc-cu12$"):
        edge.load_compiler(nothing)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(DeviceError, match="is a CPU build and brings no compiler"):
        edge.load_compiler(nothing)


class TestChoice:
    """`env.device` beside the device of the network."""

    def test_auto_falls_back_to_the_cpu_and_says_why(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*arguments: object) -> None:
            raise DeviceError("no NVRTC for CUDA 13.0")

        monkeypatch.setattr(device_choice, "cuda_launcher", refuse)
        heard: list[str] = []
        batch = device_choice.make_batch(tiny_profile(), CUDA, heard.append)
        assert isinstance(batch, c_envs.Batch)
        assert heard == ["the environments are stepped on the CPU, which is slower: no NVRTC for CUDA 13.0"]
        with pytest.raises(DeviceError, match=r'^no NVRTC for CUDA 13.0; write env.device = "cpu" to step'):
            device_choice.make_batch(tiny_profile("env.device=cuda", "train.device=cuda"), CUDA, heard.append)

    def test_the_environments_are_where_the_network_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[object, ...]] = []
        monkeypatch.setattr(
            device_choice, "cuda_launcher", lambda *given: asked.append(given) or launcher(FakeDriver())
        )
        monkeypatch.setattr(device_choice, "DeviceBatch", lambda name, count, **options: (name, count, options))
        profile = tiny_profile("train.seed=5")
        name, count, options = device_choice.make_batch(profile, CUDA)  # type: ignore[misc]
        assert asked == [("breakout", profile.env.config, CUDA)]
        assert (name, count, options["device"], options["seed"], options["slots"]) == ("breakout", 8, CUDA, 5, 16)

    def test_cpu_is_the_cpu_wherever_the_network_is(self) -> None:
        for device in (HOST, CUDA):
            batch = device_choice.make_batch(tiny_profile("env.device=cpu"), device)
            assert isinstance(batch, c_envs.Batch)

    def test_a_gpu_for_environments_alone_is_refused(self) -> None:
        with pytest.raises(DeviceError, match=r'^env\.device = "cuda", but the network is on the cpu'):
            device_choice.make_batch(tiny_profile("env.device=cuda", "train.device=cuda"), HOST)


def test_without_a_driver_the_error_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(edge, "load_compiler", FakeNvrtc)
    monkeypatch.setattr(edge.ctypes, "CDLL", missing)
    with pytest.raises(DeviceError, match=r"^the GPU's driver cannot be called: libcuda\.so\.1: cannot open"):
        edge.cuda_launcher("bandit", {}, CUDA)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[FakeNvrtc, FakeDriver]]:
    """Puts a compiler, a driver and a card in place, with a cache of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def put(refuse: str = "", refused_code: bytes = b"") -> tuple[FakeNvrtc, FakeDriver]:
        library, driver = FakeNvrtc(), FakeDriver(refuse, refused_code=refused_code)
        monkeypatch.setattr(edge, "load_compiler", lambda: library)
        monkeypatch.setattr(edge.ctypes, "CDLL", lambda name: driver)
        return library, driver

    monkeypatch.setattr(torch, "empty", lambda *shape, device: None)
    for name, value in {
        "get_device_capability": (12, 0),
        "device": contextlib.nullcontext(),
        "current_stream": SimpleNamespace(cuda_stream=99),
        "synchronize": None,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    return put


Card = Callable[..., tuple[FakeNvrtc, FakeDriver]]


@pytest.mark.parametrize("refuse", ["", "cuLaunchKernel"])
def test_a_program_is_compiled_for_the_card_and_tried_before_it_is_used(
    monkeypatch: pytest.MonkeyPatch, card: Card, refuse: str
) -> None:
    (library, driver), synchronized = card(refuse), []
    monkeypatch.setattr(torch.cuda, "synchronize", synchronized.append)
    if refuse:
        with pytest.raises(DeviceError, match=r"^cuLaunchKernel\(device_reset, 1 blocks\): unspecified launch failure"):
            edge.cuda_launcher("bandit", {}, CUDA)
        return
    edge.cuda_launcher("bandit", {}, CUDA)
    assert library.options[-1] == b"--gpu-architecture=sm_120"
    (trial,) = driver.launches
    assert (trial["kernel"], trial["stream"], trial["layout"]["environments"]) == ("device_reset", 99, 0)
    assert synchronized == [CUDA]


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "perx-tui" / "kernels").glob("*"))


def test_what_was_compiled_once_is_not_compiled_again(card: Card, tmp_path: Path) -> None:
    card()
    edge.cuda_launcher("bandit", {}, CUDA)
    (file,) = kept(tmp_path)
    assert file.name.startswith("bandit-")
    assert (file.read_bytes(), file.parent.stat().st_mode & 0o777) == (CODE, 0o700)
    library, driver = card()
    edge.cuda_launcher("bandit", {}, CUDA)
    assert "nvrtcCompileProgram" not in library.calls
    assert (driver.loaded, len(driver.launches)) == (CODE, 1)
    edge.cuda_launcher("maze", {}, CUDA)
    assert "nvrtcCompileProgram" in library.calls, "another program is another file"
    assert len(kept(tmp_path)) == 2


def test_another_program_architecture_option_header_or_compiler_is_another_file() -> None:
    program = device_program("bandit", {})
    ways = [
        (program, "sm_90", "13.0"),
        (program, "sm_80", "13.0"),
        (program, "sm_90", "13.1"),
        (replace(program, source=program.source + " "), "sm_90", "13.0"),
        (replace(program, options=program.options[1:]), "sm_90", "13.0"),
        (replace(program, headers={**program.headers, "env.h": ""}), "sm_90", "13.0"),
    ]
    assert len({kernel_cache.cached_file(*way) for way in ways}) == len(ways)
    assert kernel_cache.cached_file(*ways[0]) == kernel_cache.cached_file(*ways[0])


def test_a_damaged_file_is_made_anew(card: Card, tmp_path: Path) -> None:
    card()
    edge.cuda_launcher("bandit", {}, CUDA)
    (file,) = kept(tmp_path)
    for damaged in (b"", CODE[:5]):
        file.write_bytes(damaged)
        library, driver = card(refused_code=CODE[:5])
        edge.cuda_launcher("bandit", {}, CUDA)
        assert "nvrtcCompileProgram" in library.calls
        assert driver.loaded == CODE
        assert file.read_bytes() == CODE


def test_where_nothing_can_be_kept_it_is_compiled_each_time(card: Card, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    for _ in range(2):
        library, _ = card()
        edge.cuda_launcher("bandit", {}, CUDA)
        assert "nvrtcCompileProgram" in library.calls


def test_the_files_that_were_used_longest_ago_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_cache, "KEPT", 3)
    for index, name in enumerate("abcd"):
        kernel_cache.write_code(tmp_path / f"{name}.cubin", b"code")
        os.utime(tmp_path / f"{name}.cubin", (index, index))
    assert kernel_cache.read_code(tmp_path / "b.cubin") == b"code"
    kernel_cache.write_code(tmp_path / "e.cubin", b"code")
    assert sorted(each.name for each in tmp_path.glob("*")) == ["b.cubin", "d.cubin", "e.cubin"]


@pytest.mark.parametrize("architecture", ["sm_75", "sm_90", "sm_100"])
def test_the_compiler_takes_every_environment(architecture: str) -> None:
    """Needs no GPU, only NVRTC where the loader finds it (LD_LIBRARY_PATH)."""
    for name in ("libnvrtc.so.13", "libnvrtc.so.12"):
        with contextlib.suppress(OSError):
            compiler = edge.Compiler(ctypes.CDLL(name))
            break
    else:
        pytest.skip("no NVRTC here")
    for name in c_envs.ENVIRONMENTS:
        assert compiler.compile(device_program(name, {}), architecture).startswith(b"\x7fELF")
    program = device_program("bandit", {})
    with pytest.raises(DeviceError, match=r"^bandit.cu does not compile for sm_\d+ .*\nbandit.cu.*: error: "):
        compiler.compile(replace(program, source=program.source + "\nnonsense"), architecture)


@pytest.mark.gpu
def test_every_environment_compiles_and_loads_on_this_gpu() -> None:
    for name in c_envs.ENVIRONMENTS:
        edge.cuda_launcher(name, {}, CUDA)
