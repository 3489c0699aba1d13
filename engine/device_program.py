"""Compiles environments and other kernels for a GPU at run time and launches them.

NVRTC, the compiler, comes with torch's CUDA wheels and the driver with the GPU; both are called through ctypes, so that
neither a CUDA toolkit nor another package is needed. The kernels live in the context that torch made, take torch's
memory and run on torch's current stream: a CUDA graph that records the stream records them.
"""

from __future__ import annotations

import ctypes
import importlib.util
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from c_envs.device import KERNELS, THREADS, DeviceLayout, DeviceProgram, device_program
from engine.errors import DeviceError
from engine.kernel_cache import cached_file, forget_code, read_code, write_code

Load = Callable[[str], Any]
"""Loads a shared library by name or path; OSError when it is not there."""

DRIVER = "libcuda.so.1"
_LOG_LINES = 40
_DYNAMIC_SHARED_BYTES = 8
"""CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: what a block may ask for; without it, 48 KB."""


class Compiler:
    """NVRTC: source text in, machine code for one kind of GPU out. DeviceError says what went wrong, with the log."""

    def __init__(self, library: Any) -> None:
        self._library = library
        library.nvrtcGetErrorString.restype = ctypes.c_char_p

    def compile(self, program: DeviceProgram, architecture: str) -> bytes:
        """Machine code (a cubin) of `program` for `architecture`, such as "sm_90"."""
        library, handle = self._library, ctypes.c_void_p()
        count = len(program.headers)
        texts = (ctypes.c_char_p * count)(*(text.encode() for text in program.headers.values()))
        names = (ctypes.c_char_p * count)(*(name.encode() for name in program.headers))
        source, name = program.source.encode(), program.name.encode()
        self._check(
            "nvrtcCreateProgram",
            library.nvrtcCreateProgram(ctypes.byref(handle), source, name, ctypes.c_int(count), texts, names),
        )
        try:
            options = [option.encode() for option in (*program.options, f"--gpu-architecture={architecture}")]
            given = (ctypes.c_char_p * len(options))(*options)
            code = library.nvrtcCompileProgram(handle, ctypes.c_int(len(options)), given)
            if code != 0:
                log = (
                    self._text(handle, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog")
                    .rstrip(b"\0")
                    .decode("utf-8", "replace")
                )
                shown = "\n".join(log.strip().splitlines()[:_LOG_LINES])
                raise DeviceError(
                    f"{program.name} does not compile for {architecture} ({self._word(code)}); the log says:\n{shown}"
                )
            return self._text(handle, "nvrtcGetCUBINSize", "nvrtcGetCUBIN")
        finally:
            library.nvrtcDestroyProgram(ctypes.byref(handle))

    @property
    def version(self) -> str:
        """The compiler's own version, such as "13.0"."""
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._check("nvrtcVersion", self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
        return f"{major.value}.{minor.value}"

    def _text(self, handle: ctypes.c_void_p, size_call: str, call: str) -> bytes:
        size = ctypes.c_size_t()
        self._check(size_call, getattr(self._library, size_call)(handle, ctypes.byref(size)))
        text = ctypes.create_string_buffer(size.value)
        self._check(call, getattr(self._library, call)(handle, text))
        return text.raw

    def _word(self, code: int) -> str:
        return (self._library.nvrtcGetErrorString(ctypes.c_int(code)) or b"unknown error").decode()

    def _check(self, call: str, code: int) -> None:
        if code != 0:
            raise DeviceError(f"{call}: {self._word(code)} ({code})")


class CudaLauncher:
    """The kernels of one program, loaded into the context of torch's current device; `Launcher` of a `DeviceBatch`.

    `stream` gives the address of the stream to launch on; a block has `threads` threads, and of a kernel in `shared` so
    many bytes of memory.
    """

    def __init__(
        self,
        driver: Any,
        code: bytes,
        stream: Callable[[], int],
        kernels: Sequence[str] = KERNELS,
        threads: int = THREADS,
        shared: Mapping[str, int] | None = None,
    ) -> None:
        self._driver, self._stream, self._threads = driver, stream, ctypes.c_uint(threads)
        self._shared = shared or {}
        self._context, self._thread = ctypes.c_void_p(), threading.local()
        self._check("cuCtxGetCurrent", driver.cuCtxGetCurrent(ctypes.byref(self._context)))
        self._module = ctypes.c_void_p()
        self._check("cuModuleLoadData", driver.cuModuleLoadData(ctypes.byref(self._module), code))
        self._kernels: dict[str, ctypes.c_void_p] = {}
        for name in kernels:
            kernel = ctypes.c_void_p()
            found = driver.cuModuleGetFunction(ctypes.byref(kernel), self._module, name.encode())
            self._check(f"cuModuleGetFunction({name})", found)
            self._kernels[name] = kernel
            if name in self._shared:
                size = self._shared[name]
                granted = driver.cuFuncSetAttribute(kernel, ctypes.c_int(_DYNAMIC_SHARED_BYTES), ctypes.c_int(size))
                self._check(f"cuFuncSetAttribute({name}, {size:,} bytes of memory for a block)", granted)

    def launch(self, kernel: str, blocks: int, *arguments: ctypes.Structure | ctypes.c_int64 | ctypes.c_uint64) -> None:
        """Queues the kernel on the stream. The driver copies the arguments before it returns."""
        if not hasattr(self._thread, "ready"):
            # A thread of autograd's may launch this before torch has had any business with the driver there.
            self._check("cuCtxSetCurrent", self._driver.cuCtxSetCurrent(self._context))
            self._thread.ready = True
        addresses = (ctypes.c_void_p * len(arguments))(*(ctypes.addressof(each) for each in arguments))
        one = ctypes.c_uint(1)
        code = self._driver.cuLaunchKernel(
            self._kernels[kernel],
            ctypes.c_uint(blocks),
            one,
            one,
            self._threads,
            one,
            one,
            ctypes.c_uint(self._shared.get(kernel, 0)),
            ctypes.c_void_p(self._stream()),
            addresses,
            None,
        )
        self._check(f"cuLaunchKernel({kernel}, {blocks} blocks)", code)

    def _check(self, call: str, code: int) -> None:
        if code == 0:
            return
        text = ctypes.c_char_p()
        known = self._driver.cuGetErrorString(ctypes.c_int(code), ctypes.byref(text)) == 0 and text.value
        word = text.value.decode() if known and text.value else "unknown error"
        raise DeviceError(f"{call}: {word} ({code})")


def cuda_launcher(name: str, config: Mapping[str, object], device: torch.device) -> CudaLauncher:
    """Environment `name`, compiled for and loaded on a CUDA device. DeviceError says what is missing or went wrong."""

    def trial(launcher: CudaLauncher) -> None:
        launcher.launch("device_reset", 1, DeviceLayout(), ctypes.c_uint64(0))

    return load_program(device_program(name, config), device, trial)


def load_program(program: DeviceProgram, device: torch.device, trial: Callable[[CudaLauncher], None]) -> CudaLauncher:
    """The program's kernels, compiled for and loaded on a CUDA device. `trial` launches some on nothing, so that what
    cannot run is found here, where there is another way. DeviceError says what is missing or went wrong."""
    compiler = Compiler(load_compiler())
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError as error:
        raise DeviceError(f"the GPU's driver cannot be called: {error}") from None
    major, minor = torch.cuda.get_device_capability(device)
    if (major, minor) < program.capability:
        needed = ".".join(str(part) for part in program.capability)
        raise DeviceError(
            f"{program.name} needs a GPU of compute capability {needed} or newer, this one has {major}.{minor}"
        )
    architecture = f"sm_{major}{minor}"
    kept = cached_file(program, architecture, compiler.version)
    code = read_code(kept)
    with torch.cuda.device(device):
        # A context is current in a thread once torch has used the device there.
        torch.empty(1, device=device)

        def load(code: bytes) -> CudaLauncher:
            launcher = CudaLauncher(
                driver,
                code,
                lambda: torch.cuda.current_stream(device).cuda_stream,
                kernels=program.kernels,
                threads=program.threads,
                shared=program.shared,
            )
            trial(launcher)
            torch.cuda.synchronize(device)
            return launcher

        if code is not None:
            try:
                return load(code)
            except DeviceError:
                forget_code(kept)  # damaged: it is made anew
        code = compiler.compile(program, architecture)
        launcher = load(code)
        write_code(kept, code)
    return launcher


def load_compiler(load: Load = ctypes.CDLL) -> Any:
    """NVRTC of the CUDA version that torch was built for. DeviceError names every place that was tried."""
    version = torch.version.cuda
    if version is None:
        raise DeviceError(f"torch {torch.__version__} is a CPU build and brings no compiler for GPUs")
    library = f"libnvrtc.so.{version.partition('.')[0]}"
    places = [library, *(str(path) for path in _bundled(library))]
    for place in places:
        try:
            return load(place)
        except OSError:
            continue
    raise DeviceError(f"no NVRTC for CUDA {version} (tried {', '.join(places)}); pip install {_package(version)}")


def _package(version: str) -> str:
    """The wheel that holds NVRTC: from CUDA 13 on its name has no number."""
    major = int(version.partition(".")[0])
    return "nvidia-cuda-nvrtc" if major >= 13 else f"nvidia-cuda-nvrtc-cu{major}"


def _bundled(library: str) -> Iterator[Path]:
    """Where torch's wheels and those they depend on keep the library."""
    yield from sorted(Path(torch.__file__).parent.glob(f"lib/{library}*"))
    spec = importlib.util.find_spec("nvidia")
    locations: Sequence[str] = (spec.submodule_search_locations or ()) if spec else ()
    for location in locations:
        yield from sorted(Path(location).glob(f"*/lib/{library}"))
