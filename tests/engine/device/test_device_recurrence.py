"""The recurrent cores' kernels for a GPU: the text that a GPU gets, run on the CPU, does what the plain paths do."""

from __future__ import annotations

import contextlib
import ctypes
import math
import struct
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine import device_kernels, policy
from engine import device_program as edge
from engine.device_kernels import THREADS
from engine.device_recurrence import ARGUMENTS, TYPES, Recurrence, recurrence, recurrence_program
from engine.errors import DeviceError
from engine.lstm import LSTM
from engine.policy import Policy
from engine.trainer import Trainer
from tests.engine.device.host_device import HOST_STREAM, build, host_program
from tests.engine.device.recurrent_cases import (
    CORES,
    SHAPES,
    Core,
    closeness,
    make_core,
    outputs_and_gradients,
    segments,
)

CUDA = torch.device("cuda", 0)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Recurrence:
    return Recurrence(host_program(recurrence_program(), "host_recurrence.h", tmp_path_factory.mktemp("recurrence")))


def launches(kernels: Recurrence) -> int:
    return ctypes.c_uint.in_dll(kernels._launcher._driver, "host_launches").value  # type: ignore[attr-defined]


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", CORES)
def test_outputs_and_gradients_are_those_of_the_plain_path(
    kernels: Recurrence, kind: type[Core], shape: tuple[int, int, int], layers: int
) -> None:
    core = make_core(kind, shape[2], layers)
    case = segments(core, *shape)
    before = launches(kernels)
    core.kernels = kernels
    found = outputs_and_gradients(core, *case)
    assert launches(kernels) - before == 2 * layers * (shape[0] if kind is LSTM else 1)
    assert ctypes.c_void_p.in_dll(kernels._launcher._driver, "host_stream").value == HOST_STREAM  # type: ignore[attr-defined]
    core.kernels, core.fused = None, False
    expected = outputs_and_gradients(core, *case)
    torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=1e-5)
    assert closeness(found[1], expected[1]) <= 1e-4


@pytest.mark.parametrize("kind", CORES)
def test_bfloat16_is_as_near_to_float32_as_torchs_own_autocast(kernels: Recurrence, kind: type[Core]) -> None:
    """Products in bfloat16, states in float32: nothing that the plain path under autocast would do better."""
    core = make_core(kind, 31, 2)
    case = segments(core, 33, 17, 31)
    core.fused = False
    exact = outputs_and_gradients(core, *case)
    plain = outputs_and_gradients(core, *case, autocast=True)
    core.fused, core.kernels = True, kernels
    found = outputs_and_gradients(core, *case, autocast=True)
    assert found[0].dtype == torch.bfloat16
    for place in (0, 1):
        error, usual = closeness(found[place], exact[place]), closeness(plain[place], exact[place])
        assert error <= 1.5 * usual <= 0.06
    assert [each.dtype for each in found[1]] == [torch.float32] * len(found[1])


@pytest.mark.parametrize("kind", CORES)
def test_the_first_rows_resets_are_not_looked_at(kernels: Recurrence, kind: type[Core]) -> None:
    """The state that is given accounts for them."""
    core = make_core(kind, 5)
    core.kernels = kernels
    inputs, state, resets = segments(core, 6, 4, 5)
    resets[0] = 1
    found = outputs_and_gradients(core, inputs, state, resets)
    resets[0] = 0
    expected = outputs_and_gradients(core, inputs, state, resets)
    assert torch.equal(found[0], expected[0])
    assert all(torch.equal(one, two) for one, two in zip(found[1], expected[1], strict=True))


@pytest.mark.parametrize("kind", CORES)
def test_what_lies_before_a_reset_reaches_nothing_behind_it(kernels: Recurrence, kind: type[Core]) -> None:
    """Not even a number that is none."""
    core = make_core(kind, 5)
    core.kernels = kernels
    inputs, state, resets = segments(core, 8, 3, 5)
    resets[:] = 0
    resets[4] = 1
    spoiled = inputs.clone()
    spoiled[2] = math.inf
    with torch.no_grad():
        clean, found = core.unroll(inputs, state, resets), core.unroll(spoiled, state, resets)
    assert torch.equal(clean[4:], found[4:])
    leaf = inputs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(core.unroll(leaf, state, resets)[4:].sum(), [leaf])
    assert not gradient[:4].any()
    assert gradient[4:].all()


@pytest.mark.parametrize("rows", [1, 300])
@pytest.mark.parametrize("kind", CORES)
def test_the_rollouts_step_is_that_of_the_plain_path(kernels: Recurrence, kind: type[Core], rows: int) -> None:
    core = make_core(kind, 7, 2)
    inputs, state, _ = segments(core, 5, rows, 7)
    plain_state, given = state.clone(), state.clone()
    with torch.no_grad():
        for each in inputs:
            core.kernels = kernels
            before = launches(kernels)
            output, state = core.step(each, state)
            assert launches(kernels) - before == 2
            core.kernels = None
            expected, plain_state = core.step(each, plain_state)
            torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(state, plain_state, atol=1e-5, rtol=1e-5)
        core.kernels = kernels
        part = core.step(inputs[0, : rows // 2 + 1], given[:, :, : rows // 2 + 1])
        torch.testing.assert_close(part[0], core.step(inputs[0], given)[0][: rows // 2 + 1])


@pytest.mark.parametrize("kind", CORES)
def test_where_the_kernels_cannot_help_torch_does_it(kernels: Recurrence, kind: type[Core]) -> None:
    core = make_core(kind, 4)
    core.kernels = kernels
    inputs, state, resets = segments(core, 3, 2, 4)
    before = launches(kernels)
    core.step(inputs[0], state)  # with gradients
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        core.step(inputs[0].bfloat16(), state)
    core.double().unroll(inputs.double(), state.double(), resets)
    core.float().fused = False
    core.unroll(inputs, state, resets)
    with torch.no_grad():
        core.step(inputs[0], state)
    assert launches(kernels) == before


def test_a_second_backward_is_refused_for_the_first_has_used_the_gates_up(kernels: Recurrence) -> None:
    core = make_core(LSTM, 4)
    core.kernels = kernels
    inputs, state, resets = segments(core, 3, 2, 4)
    total = core.unroll(inputs.requires_grad_(), state, resets).sum()
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_bfloat16_is_rounded_as_torch_rounds_it(kernels: Recurrence) -> None:
    driver = kernels._launcher._driver  # type: ignore[attr-defined]
    driver.host_rounded.argtypes, driver.host_rounded.restype = [ctypes.c_float], ctypes.c_uint16
    driver.host_widened.argtypes, driver.host_widened.restype = [ctypes.c_uint16], ctypes.c_float
    # Halfway between two neighbours, to the even one of them on either side; the largest numbers, which round to inf.
    bits = torch.tensor(
        [0x3F808000, 0x3F818000, 0x3F808001, 0x3F807FFF, 0x7F7FFFFF, 0x7F7F7FFF, 0x00000001, 0x00008000]
    )
    special = bits.to(torch.int32).view(torch.float32)
    random = torch.randn(300, generator=torch.Generator().manual_seed(0)) * torch.logspace(-38, 38, 300)
    values = torch.cat((special, -special, random, torch.tensor([0.0, -0.0, math.inf, -math.inf])))
    found = [driver.host_rounded(value) for value in values.tolist()]
    assert found == [each & 0xFFFF for each in values.bfloat16().view(torch.int16).tolist()]
    assert [driver.host_widened(each) for each in found] == values.bfloat16().float().tolist()
    for bits in (0x7FC00000, 0x7FFFFFFF, 0xFFFFFFFF):  # to round the last two up would leave zeros
        (number,) = struct.unpack("<f", struct.pack("<I", bits))
        assert math.isnan(driver.host_widened(driver.host_rounded(number)))


def test_the_gates_are_right_and_finite_far_out(kernels: Recurrence) -> None:
    gates = torch.tensor([[-1e30, -200.0, -90.0, -20.0, 0.0, 1e-4, 20.0, 200.0, 1e30] * 4])
    cell, after, output = torch.full((1, 9), 0.5), torch.zeros(1, 9), torch.zeros(1, 9)
    kernels.lstm_forward(gates, cell, after, output)
    i, f, g, o = gates.double().view(4, 9)
    expected = torch.sigmoid(f) * 0.5 + torch.sigmoid(i) * torch.tanh(g)
    torch.testing.assert_close(after[0].double(), expected, atol=3e-7, rtol=0)
    torch.testing.assert_close(output[0].double(), torch.sigmoid(o) * torch.tanh(expected), atol=3e-7, rtol=0)


def test_nothing_is_read_or_written_beside_the_arrays(tmp_path: Path) -> None:
    """Of sizes that fill no block of threads and no run of steps that are loaded together."""
    headers = ["host_recurrence.h", "host_driver.h", "recurrence_bounds.h"]
    program = build(recurrence_program(), headers, ["-O1", "-g", "-fsanitize=address,undefined"], tmp_path)
    # Looking for leaks, which there are none to look for, is not allowed in every container.
    options = {"ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([program], env=options, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("core", ["lstm", "mingru"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_learns_the_same_with_the_kernels(
    make_trainer: Callable[..., Trainer], kernels: Recurrence, core: str, precision: str
) -> None:
    """Whole iterations of one seed, rollout and updates: equal but for rounding, which bfloat16 has more of."""
    bound = 1e-3 if precision == "float32" else 0.1
    trainers = [make_trainer(f"policy.core={core}", "train.fused=false") for _ in range(2)]
    trainers[1].policy.core.fused = True
    trainers[1].policy.core.kernels = kernels  # type: ignore[union-attr]
    for trainer in trainers:
        trainer.learner.autocast = precision == "bfloat16"
    for _ in range(2 if precision == "float32" else 1):
        plain, found = (trainer.iterate().metrics for trainer in trainers)
        for name in ("loss/policy", "loss/value", "loss/entropy", "loss/grad_norm"):
            assert found[name] == pytest.approx(plain[name], rel=bound, abs=bound * 1e-2), name


def test_the_host_and_the_device_speak_of_the_same_kernels() -> None:
    program = recurrence_program()
    assert program.kernels == tuple(f"{kernel}_{real}" for kernel in ARGUMENTS for real in ("float32", "bfloat16"))
    assert (program.threads, set(program.headers)) == (256, {"device.h", "real.h", "recurrence.h"})
    assert len(TYPES) == 2
    for arguments in ARGUMENTS.values():
        assert f"sizeof({arguments.__name__}<Bfloat16>) == {ctypes.sizeof(arguments)}" in program.source


def test_a_launch_has_a_thread_for_every_element() -> None:
    given: list[tuple[str, int, ctypes.Structure]] = []

    class Listener:
        def launch(self, kernel: str, blocks: int, *arguments: ctypes.Structure) -> None:
            given.append((kernel, blocks, *arguments))

    listening = Recurrence(Listener())  # type: ignore[arg-type]
    raw, states = torch.zeros(7, 3, 3 * 171), torch.zeros(7, 3, 171)
    resets = torch.zeros(7, 3, dtype=torch.uint8)
    listening.mingru_forward(raw.bfloat16(), states.bfloat16(), states[0], resets, states, states.bfloat16())
    listening.lstm_forward(torch.zeros(256, 4), torch.zeros(256, 1), torch.zeros(256, 1), torch.zeros(256, 1))
    (first, second) = given
    assert first[:2] == ("mingru_forward_bfloat16", math.ceil(3 * 171 / THREADS))
    assert {name: getattr(first[2], name) for name in ("steps", "rows", "hidden", "start", "resets")} == {
        "steps": 7,
        "rows": 3,
        "hidden": 171,
        "start": states.data_ptr(),
        "resets": resets.data_ptr(),
    }
    assert second[:2] == ("lstm_forward_float32", 1)
    assert (second[2].carried, second[2].reset, second[2].reset_next) == (None, None, None)
    wide = torch.zeros(1, 1).expand(2**16, 2**15)
    with pytest.raises(
        DeviceError, match=r"^2,147,483,648 elements are more than a launch of lstm_forward_float32 takes$"
    ):
        listening.lstm_forward(wide, wide, wide, wide)


class TestChoice:
    """Who gets the kernels, and what happens where there are none."""

    def test_without_a_compiler_the_plain_path_runs_and_the_reason_is_told_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def missing() -> None:
            raise DeviceError("no NVRTC for CUDA 13.0")

        monkeypatch.setattr(edge, "load_compiler", missing)
        heard: list[str] = []
        assert recurrence(CUDA, heard.append) is None
        assert heard == ["the recurrent core runs without kernels of its own, which is slower: no NVRTC for CUDA 13.0"]

    def test_every_kernel_is_tried_on_nothing_before_it_is_used(
        self, monkeypatch: pytest.MonkeyPatch, kernels: Recurrence
    ) -> None:
        tried: list[tuple[str, int, int]] = []

        class Listener:
            def launch(self, kernel: str, blocks: int, *arguments: ctypes.Structure) -> None:
                tried.append((kernel, arguments[0].rows, arguments[0].hidden))

        def load(program: object, device: torch.device, trial: Callable[[object], None]) -> object:
            assert device == CUDA
            trial(Listener())
            return Listener()

        monkeypatch.setattr(device_kernels, "load_program", load)
        assert recurrence(CUDA, pytest.fail) is not None
        assert tried == [(name, 0, 0) for name in recurrence_program().kernels]
        before = launches(kernels)
        kernels.try_all()  # and on nothing they do nothing
        assert launches(kernels) - before == len(tried)

    @pytest.mark.parametrize("name", ["lstm", "mingru", "none"])
    def test_a_policy_gets_those_of_the_gpu_that_it_is_on(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        kernels, asked = object(), []

        def give(device: torch.device, warn: object) -> object:
            asked.append(device)
            return kernels

        class Weight:
            device = CUDA

        class Encoder(torch.nn.Module):
            weight = Weight()

        monkeypatch.setattr(policy, "recurrence", give)
        monkeypatch.setattr(policy, "lstm_scans", lambda *given: {})
        made = Policy(4, 2, core=name, hidden=4)
        made.use_fused(True)
        assert asked == [], "the CPU has its own"
        made.encoder = Encoder()  # type: ignore[assignment]
        made.use_fused(False)
        assert (asked, made.core.fused) == ([], False)
        made.use_fused(True)
        assert asked == ([] if name == "none" else [CUDA])
        assert getattr(made.core, "kernels", None) is (None if name == "none" else kernels)


@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90", "sm_100"])
def test_the_compiler_takes_the_kernels(architecture: str) -> None:
    """Needs no GPU, only NVRTC where the loader finds it (LD_LIBRARY_PATH)."""
    for name in ("libnvrtc.so.13", "libnvrtc.so.12"):
        with contextlib.suppress(OSError):
            compiler = edge.Compiler(ctypes.CDLL(name))
            break
    else:
        pytest.skip("no NVRTC here")
    program = recurrence_program()
    code = compiler.compile(program, architecture)
    assert code.startswith(b"\x7fELF")
    assert all(kernel.encode() in code for kernel in program.kernels)
    wrong = program.source.replace(f"{ctypes.sizeof(ARGUMENTS['lstm_forward'])}", "1", 1)
    with pytest.raises(DeviceError, match="the host passes as many bytes"):
        compiler.compile(replace(program, source=wrong), architecture)
