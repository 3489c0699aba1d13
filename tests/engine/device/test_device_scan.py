"""An LSTM's whole segment in one launch each way: the text that a GPU gets, run on the CPU by threads that wait for
each other, does what the plain path does."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import math
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine import device_kernels, device_scan, policy
from engine import device_program as edge
from engine.device_scan import ARGUMENTS, HIDDEN, LstmScan, lstm_scans, scan_program
from engine.errors import DeviceError
from engine.lstm import LSTM
from engine.policy import Policy
from tests.engine.device.host_device import build, host_program
from tests.engine.device.recurrent_cases import closeness, outputs_and_gradients, segments
from tests.engine.device.scan_cases import SHAPES, RoundedLSTM, tame_lstm

CUDA = torch.device("cuda", 0)
REALS = [torch.float32, torch.bfloat16]
Scans = dict[torch.dtype, LstmScan]


@pytest.fixture(scope="module")
def make_scans(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Scans]:
    """The kernels for so many units, each built when it is asked for the first time."""
    made: dict[int, Scans] = {}

    def make(hidden: int) -> Scans:
        if hidden not in made:
            made[hidden] = {
                real: LstmScan(
                    host_program(
                        scan_program(hidden, real), "host_lstm_scan.h", tmp_path_factory.mktemp(f"scan{hidden}")
                    ),
                    hidden,
                )
                for real in REALS
            }
        return made[hidden]

    return make


@pytest.fixture
def tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of float32 may be rounded to TF32."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", True)


class NoSteps:
    """Stands for the kernels of single steps, which must not be asked."""


def scanning(hidden: int, scans: Scans, layers: int = 1) -> LSTM:
    """A core that has these kernels and no others."""
    core = tame_lstm(hidden, layers)
    core.kernels = NoSteps()  # type: ignore[assignment]
    core.scans = scans
    return core


def number(scan: LstmScan, name: str) -> Any:
    """A counter or a setting of the driver that the host has."""
    return ctypes.c_int.in_dll(scan._launcher._driver, name)  # type: ignore[attr-defined]


@pytest.mark.parametrize("last_warp_first", [0, 1])
@pytest.mark.parametrize("shape", SHAPES)
def test_with_tf32_it_is_the_plain_path_with_rounded_products(
    make_scans: Callable[[int], Scans], tf32: None, shape: tuple[int, int, int], last_warp_first: int
) -> None:
    """Whichever warp runs first, as far as it can: none reads what another one has not written yet."""
    scans = make_scans(shape[2])
    core, slow = scanning(shape[2], scans), RoundedLSTM(shape[2])
    slow.load_state_dict(core.state_dict())
    case = segments(core, *shape)
    before = number(scans[torch.float32], "host_launches").value
    order = number(scans[torch.float32], "host_last_warp_first")
    order.value = last_warp_first
    found = outputs_and_gradients(core, *case)
    order.value = 0
    assert number(scans[torch.float32], "host_launches").value - before == 2
    rounded = outputs_and_gradients(slow, *case)
    core.fused = False
    plain = outputs_and_gradients(core, *case)
    for place in (0, 1):
        # Sums are added up in another order, and where they lie between two numbers of TF32 may become the other one.
        error, usual = closeness(found[place], rounded[place]), closeness(plain[place], rounded[place])
        assert error <= usual / 8 <= 1e-4
        assert error <= 1e-5 or shape[0] > 3


@pytest.mark.parametrize("shape", [*SHAPES, (33, 17, 64)])
def test_bfloat16_is_as_near_to_float32_as_torchs_own_autocast(
    make_scans: Callable[[int], Scans], shape: tuple[int, int, int]
) -> None:
    """Products in bfloat16, states in float32: nothing that the plain path under autocast would do better."""
    scans = make_scans(shape[2])
    core = scanning(shape[2], scans, layers=2)
    case = segments(core, *shape)
    before = number(scans[torch.bfloat16], "host_launches").value
    found = outputs_and_gradients(core, *case, autocast=True)
    assert number(scans[torch.bfloat16], "host_launches").value - before == 4
    core.fused = False
    exact = outputs_and_gradients(core, *case)
    plain = outputs_and_gradients(core, *case, autocast=True)
    assert found[0].dtype == torch.bfloat16
    for place in (0, 1):
        error, usual = closeness(found[place], exact[place]), closeness(plain[place], exact[place])
        assert error <= 1.5 * usual <= 0.15
    assert [each.dtype for each in found[1]] == [torch.float32] * len(found[1])


@pytest.mark.parametrize("real", REALS)
def test_a_row_does_not_depend_on_those_beside_it(
    make_scans: Callable[[int], Scans], tf32: None, real: torch.dtype
) -> None:
    """In whichever column of whichever block it is, and whichever warp runs first."""
    core = scanning(32, make_scans(32))
    inputs, state, resets = segments(core, 6, 21, 32)
    order = number(core.scans[real], "host_last_warp_first")

    def given(rows: slice) -> tuple[Tensor, Tensor]:
        leaf = inputs[:, rows].clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=real == torch.bfloat16):
            outputs = core.unroll(leaf.to(real), state[:, :, rows].contiguous(), resets[:, rows].contiguous())
        (gradient,) = torch.autograd.grad(outputs.float().square().sum(), [leaf])
        return outputs.detach(), gradient

    whole = given(slice(None))
    for first, last in ((0, 21), (0, 8), (3, 4), (5, 16)):
        order.value = first % 2
        for one, all_of_them in zip(given(slice(first, last)), whole, strict=True):
            torch.testing.assert_close(one, all_of_them[:, first:last], atol=1e-6, rtol=1e-6)
    order.value = 0


@pytest.mark.parametrize("real", REALS)
def test_what_lies_before_a_reset_reaches_nothing_behind_it(
    make_scans: Callable[[int], Scans], tf32: None, real: torch.dtype
) -> None:
    """Not even a number that is none, and none of another row; the first row's resets are not looked at."""
    core = scanning(32, make_scans(32))
    inputs, state, resets = segments(core, 8, 9, 32)
    resets[:] = 0
    resets[0] = resets[4, :5] = 1
    spoiled = inputs.clone()
    spoiled[2, :5] = math.nan
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=real == torch.bfloat16):
        found = [core.unroll(each.to(real), state, resets) for each in (inputs, spoiled)]
        other = core.unroll(inputs.to(real), state + 1, resets)
    assert torch.equal(found[0][4:], found[1][4:])
    assert torch.equal(found[0][:, 5:], found[1][:, 5:])
    assert found[1][2:4, :5].isnan().all()
    assert (other[0] != found[0][0]).any()
    leaf = inputs.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=real == torch.bfloat16):
        (gradient,) = torch.autograd.grad(core.unroll(leaf.to(real), state, resets)[4:, :5].sum(), [leaf])
    assert not gradient[:4].any()
    assert not gradient[:, 5:].any()
    assert gradient[4:, :5].all()


def test_a_weight_that_begins_between_two_loads_is_copied(make_scans: Callable[[int], Scans], tf32: None) -> None:
    core = scanning(32, make_scans(32))
    case = segments(core, 3, 4, 32)
    expected = outputs_and_gradients(core, *case)
    memory = torch.zeros(128 * 32 + 1)
    memory[1:] = core.weight_hh_l0.detach().flatten()
    with torch.no_grad():
        core.weight_hh_l0.data = memory[1:].view(128, 32)
    assert core.weight_hh_l0.data_ptr() % 16 == 4
    found = outputs_and_gradients(core, *case)
    assert torch.equal(found[0], expected[0])
    assert all(torch.equal(one, two) for one, two in zip(found[1], expected[1], strict=True))


def test_a_second_backward_is_refused_for_the_first_has_used_the_gates_up(
    make_scans: Callable[[int], Scans], tf32: None
) -> None:
    core = scanning(32, make_scans(32))
    inputs, state, resets = segments(core, 3, 2, 32)
    total = core.unroll(inputs.requires_grad_(), state, resets).sum()
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


@pytest.mark.parametrize("width", [16, 32, 64, 128])
def test_columns_lie_so_that_no_two_lanes_meet_in_a_bank(make_scans: Callable[[int], Scans], width: int) -> None:
    """Of 32 banks each has every 32nd word; eight lanes that load four words, and sixteen that store two, are served
    together."""
    driver = make_scans(32)[torch.float32]._launcher._driver  # type: ignore[attr-defined]
    begin = [driver.host_column(n, width) for n in range(8)]
    assert all(later - earlier >= width for earlier, later in itertools.pairwise(begin))
    for first in range(0, 8, 2):
        loaded = [begin[n] + 4 * place + word for n in (first, first + 1) for place in range(4) for word in range(4)]
        assert len({word % 32 for word in loaded}) == 32
    for odd in range(2):
        stored = [begin[2 * place + odd] + word for place in range(4) for word in range(8)]
        assert len({word % 32 for word in stored}) == 32


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_nothing_is_read_or_written_beside_the_arrays(hidden: int, real: torch.dtype, tmp_path: Path) -> None:
    """Of rows that fill no block; nor beside the block's memory, nor what is not written there yet."""
    headers = ["host_lstm_scan.h", "host_driver.h", "lstm_scan_bounds.h"]
    program = build(scan_program(hidden, real), headers, ["-O1", "-g", "-fsanitize=address,undefined"], tmp_path)
    options = {"ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([program], env=options, capture_output=True, text=True, check=False)
    # The library that looks says of itself that it may find too much where threads are made by hand.
    words = [line for line in done.stderr.splitlines() if "makecontext/swapcontext" not in line]
    assert (done.returncode, words) == (0, [])


class TestChoice:
    """Who gets these kernels, and what happens where there are none."""

    def test_float32_that_must_not_be_rounded_goes_step_by_step(
        self, monkeypatch: pytest.MonkeyPatch, make_scans: Callable[[int], Scans]
    ) -> None:
        monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
        core = scanning(32, make_scans(32))
        case = segments(core, 2, 3, 32)
        with pytest.raises(AttributeError, match="NoSteps"):
            outputs_and_gradients(core, *case)
        outputs_and_gradients(core, *case, autocast=True)

    def test_a_type_without_kernels_goes_step_by_step(self, make_scans: Callable[[int], Scans], tf32: None) -> None:
        core = scanning(32, {torch.float32: make_scans(32)[torch.float32]})
        case = segments(core, 2, 3, 32)
        outputs_and_gradients(core, *case)
        with pytest.raises(AttributeError, match="NoSteps"):
            outputs_and_gradients(core, *case, autocast=True)

    def test_a_gpu_that_cannot_run_them_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(edge, "load_compiler", object)
        monkeypatch.setattr(edge, "Compiler", lambda library: library)
        monkeypatch.setattr(edge.ctypes, "CDLL", lambda name: name)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
        heard: list[str] = []
        monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", True)
        for real, words in ((torch.float32, "TF32"), (torch.bfloat16, "bfloat16")):
            heard.clear()
            assert lstm_scans(CUDA, 128, real, heard.append) == {}
            assert heard == [
                f"the LSTM's whole segment in {words} runs without kernels of its own, which is slower: lstm_scan.cu "
                "needs a GPU of compute capability 8.0 or newer, this one has 7.5"
            ]

    def test_nothing_is_compiled_that_would_not_be_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither for a size without kernels nor for float32 that must not be rounded."""
        asked: list[object] = []

        def load(program: object, *given: object) -> object:
            asked.append(program)
            return program

        monkeypatch.setattr(device_scan, "load_kernels", load)
        monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
        assert lstm_scans(CUDA, 96, torch.bfloat16) == lstm_scans(CUDA, 128, torch.float32) == {}
        assert asked == []
        assert list(lstm_scans(CUDA, 128, torch.bfloat16)) == [torch.bfloat16]
        monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", True)
        assert list(lstm_scans(CUDA, 64, torch.float32)) == [torch.float32]
        assert asked == [scan_program(128, torch.bfloat16), scan_program(64, torch.float32)]

    def test_memory_that_a_block_is_not_granted_is_an_error(self, make_scans: Callable[[int], Scans]) -> None:
        """As much as small cards have: with bfloat16 it is enough."""

        def load(real: torch.dtype) -> None:
            scan, program = make_scans(128)[real], scan_program(128, real)
            limit = number(scan, "host_shared_limit")
            most, limit.value = limit.value, 99 * 1024
            try:
                driver = scan._launcher._driver  # type: ignore[attr-defined]
                edge.CudaLauncher(driver, b"code", lambda: 0, program.kernels, program.threads, program.shared)
            finally:
                limit.value = most

        load(torch.bfloat16)
        with pytest.raises(
            DeviceError,
            match=r"^cuFuncSetAttribute\(lstm_scan_forward, 123,968 bytes of memory for a block\): a host has no words",
        ):
            load(torch.float32)

    def test_every_kernel_is_tried_on_nothing_before_it_is_used(
        self, monkeypatch: pytest.MonkeyPatch, make_scans: Callable[[int], Scans]
    ) -> None:
        tried: list[tuple[str, int, int, int]] = []

        class Listener:
            def launch(self, kernel: str, blocks: int, *arguments: Any) -> None:
                tried.append((kernel, blocks, arguments[0].rows, arguments[0].steps))

        def load(program: object, device: torch.device, trial: Callable[[object], None]) -> object:
            assert device == CUDA
            trial(Listener())
            return Listener()

        monkeypatch.setattr(device_kernels, "load_program", load)
        monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", True)
        assert [real for products in REALS for real in lstm_scans(CUDA, 64, products, pytest.fail)] == REALS
        assert tried == [(name, 1, 0, 0) for name in ARGUMENTS] * 2
        for scan in make_scans(64).values():
            before = number(scan, "host_launches").value
            scan.try_all()  # and on nothing they do nothing
            assert number(scan, "host_launches").value - before == 2

    def test_a_launch_has_a_block_for_every_eight_rows(self) -> None:
        given: list[tuple[str, int, Any]] = []

        class Listener:
            def launch(self, kernel: str, blocks: int, *arguments: Any) -> None:
                given.append((kernel, blocks, *arguments))

        scan = LstmScan(Listener(), 32)  # type: ignore[arg-type]
        gates, weight, cells = torch.zeros(5, 17, 128), torch.zeros(128, 32), torch.zeros(6, 17, 32)
        resets = torch.zeros(5, 17, dtype=torch.uint8)
        scan.forward(gates, weight, resets, cells, cells[:5], cells[1:])
        scan.backward(gates[:, :16], weight, resets, cells, cells[1:])
        assert [(name, blocks, each.rows, each.steps) for name, blocks, each in given] == [
            ("lstm_scan_forward", 3, 17, 5),
            ("lstm_scan_backward", 2, 16, 5),
        ]
        forward = given[0][2]
        assert (forward.gates, forward.weight, forward.cells) == (
            gates.data_ptr(),
            weight.data_ptr(),
            cells.data_ptr(),
        )
        with pytest.raises(
            DeviceError, match=r"^2,147,483,648 elements are more than a launch of lstm_scan_forward takes$"
        ):
            scan.forward(gates[:, :1].expand(5, 2**24, 128), weight, resets, cells, cells, cells)

    @pytest.mark.parametrize(("name", "on_gpu"), [("lstm", True), ("lstm", False), ("mingru", True)])
    def test_an_lstm_gets_those_of_the_gpu_that_it_is_on(
        self, monkeypatch: pytest.MonkeyPatch, name: str, on_gpu: bool
    ) -> None:
        asked: list[tuple[torch.device, int, torch.dtype]] = []
        found: dict[torch.dtype, LstmScan] = {}

        def give(device: torch.device, hidden: int, real: torch.dtype, warn: object) -> Mapping[torch.dtype, LstmScan]:
            asked.append((device, hidden, real))
            return found

        class Encoder(torch.nn.Module):
            class weight:
                device = CUDA if on_gpu else torch.device("cpu")

        for each in ("recurrence", "experience_kernels", "column_kernels"):
            monkeypatch.setattr(policy, each, lambda *given: object())
        monkeypatch.setattr(policy, "lstm_scans", give)
        made = Policy(4, 2, core=name, hidden=32)
        made.encoder = Encoder()  # type: ignore[assignment]
        made.use_fused(True, products=torch.bfloat16)
        assert asked == ([(CUDA, 32, torch.bfloat16)] if name == "lstm" and on_gpu else [])
        if asked:
            assert made.core.scans is found  # type: ignore[union-attr]
            made.use_fused(False)
            assert made.core.scans == {}  # type: ignore[union-attr]


def compilers() -> Iterator[edge.Compiler]:
    """NVRTC where the loader finds it (LD_LIBRARY_PATH)."""
    for name in ("libnvrtc.so.13", "libnvrtc.so.12"):
        with contextlib.suppress(OSError):
            yield edge.Compiler(ctypes.CDLL(name))


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_100"])
def test_the_compiler_takes_the_kernels(architecture: str, hidden: int, real: torch.dtype) -> None:
    """Needs no GPU."""
    compiler = next(compilers(), None)
    if compiler is None:
        pytest.skip("no NVRTC here")
    program = scan_program(hidden, real)
    code = compiler.compile(program, architecture)
    assert code.startswith(b"\x7fELF")
    assert all(kernel.encode() in code for kernel in program.kernels)
    shared = program.shared["lstm_scan_backward"]
    wrong = program.source.replace(f"BYTES == {shared}", f"BYTES == {shared + 4}")
    with pytest.raises(DeviceError, match="as the host has it"):
        compiler.compile(replace(program, source=wrong), architecture)
