"""The kernels for minibatches on a GPU, there and as text run on the CPU, do what sampler, segments and log do."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from engine import device_minibatch
from engine.advantages import explained_variance
from engine.device_minibatch import (
    ARGUMENTS,
    METRICS,
    MinibatchKernels,
    minibatch_kernels,
    minibatch_program,
)
from engine.device_update import Log
from engine.losses import normalize
from engine.replay import SCHEMES, Draw, SamplingSettings, SegmentSampler, priority_metric
from engine.rollout import RolloutBuffer
from engine.segments import Experience
from tests.engine.device.host_device import build, host_program

CPU = torch.device("cpu")


DEVICES = [pytest.param("cpu", id="host"), pytest.param("cuda", marks=pytest.mark.gpu)]


class Place(NamedTuple):
    """Kernels, and the device that they are for."""

    kernels: MinibatchKernels
    device: torch.device

    def put(self, *tensors: Tensor) -> list[Tensor]:
        """The tensors there."""
        return [tensor.to(self.device) for tensor in tensors]


@pytest.fixture(scope="module", params=DEVICES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    device = torch.device(request.param)
    if device.type == "cpu":
        folder = tmp_path_factory.mktemp("minibatch")
        return Place(MinibatchKernels(host_program(minibatch_program(), "host_minibatch.h", folder)), device)
    found = minibatch_kernels(device, pytest.fail)
    assert found is not None
    return Place(found, device)


def some_metric(segments: int) -> Tensor:
    """With zeros, and with a few that are much larger than the rest."""
    metric = torch.randn(segments, generator=torch.Generator().manual_seed(segments)).abs()
    metric[::7] = 0
    metric[::50] *= 1000
    return metric


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("steps", "segments"), [(64, 100), (1, 1), (13, 33)])
def test_the_metric_is_that_of_replay(place: Place, name: str, masked: bool, steps: int, segments: int) -> None:
    chance = torch.Generator().manual_seed(steps)
    advantages = torch.randn(steps, segments, generator=chance)
    masks = (torch.rand(steps, segments, generator=chance) > 0.7).float() if masked else None

    def found(masks: Tensor | None) -> Tensor:
        there = None if masks is None else masks.to(place.device)
        return priority_metric(advantages.to(place.device), there, name, place.kernels).cpu()

    torch.testing.assert_close(found(masks), priority_metric(advantages, masks, name))
    for bad in (float("nan"), float("-inf")):
        advantages[steps // 2, segments // 2] = bad
        torch.testing.assert_close(found(None), priority_metric(advantages, None, name), equal_nan=True)


def both_draw(
    place: Place, scheme: str, metric: Tensor, count: int, settings: SamplingSettings, given: SamplingSettings
) -> None:
    """The kernels, with the settings as `given`, draw what the scheme draws by the same chance, and count it alike."""
    chance = torch.Generator().manual_seed(1)
    fused = SegmentSampler(len(metric), chance, place.device, place.kernels)
    plain = SegmentSampler(len(metric), chance)
    for each in (fused, plain):
        each.use_scheme(scheme)
    for _ in range(2):
        numbers = plain.scheme.chance(len(metric), count, True, chance, CPU)
        one = fused.choose(*place.put(metric, numbers), count, given)
        other = plain.choose(metric, numbers, count, settings)
        assert torch.equal(one.segments.cpu(), other.segments)
        torch.testing.assert_close(one.weights.cpu(), other.weights, rtol=1e-6, atol=0)
    assert torch.equal(fused.uses.cpu(), plain.uses)


BY_POWER = ["prioritized", "stratified", "uniform"]


@pytest.mark.parametrize("segments", [1, 5, 300, 2048, 2049, 9000])
@pytest.mark.parametrize("scheme", BY_POWER)
def test_draws_weights_and_uses_are_those_of_the_scheme(place: Place, scheme: str, segments: int) -> None:
    metric, count = some_metric(segments), max(1, min(700, segments // 2))
    for alpha, beta, normalized in ((0.7, 0.4, False), (0.0, 1.0, True), (1.5, 0.0, False), (1.0, 1.0, True)):
        settings = SamplingSettings(alpha, beta, True, normalized)
        both_draw(place, scheme, metric, count, settings, settings)


def test_settings_of_a_recording_are_read_when_it_is_launched(place: Place) -> None:
    numbers = torch.zeros(2, dtype=torch.float64, device=place.device)
    alpha, beta = numbers.unbind()
    for values in ((0.5, 0.4), (1.5, 0.9)):
        numbers.copy_(torch.tensor(values, dtype=torch.float64))
        settings = (SamplingSettings(*values, True, False), SamplingSettings(alpha, beta, True, False))
        both_draw(place, "stratified", some_metric(500), 200, *settings)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("replacement", [True, False])
def test_what_is_not_drawn_in_proportion_to_a_power_is_left_to_torch(scheme: str, replacement: bool) -> None:
    settings = SamplingSettings(0.7, 0.4, replacement, False)
    by_power = SCHEMES[scheme]().by_power(settings) is not None
    assert by_power == (scheme == "stratified" or (scheme in BY_POWER and replacement))


@pytest.mark.parametrize("chance", [0.0, 1 - 2**-53])
def test_the_ends_of_the_distribution_can_be_drawn(place: Place, chance: float) -> None:
    """And nothing beyond, nor what has no priority to speak of."""
    metric, given = torch.zeros(3000), torch.full((64,), chance, dtype=torch.float64)
    metric[[0, 2999]] = 1e6
    metric, given, uses = place.put(metric, given, torch.zeros(3000, dtype=torch.int64))
    drawn, _ = place.kernels.draw(metric, given, 64, 1.0, 0.5, 0.0, uses, stratified=False, normalized=False)
    assert set(drawn.tolist()) == {0 if chance == 0 else 2999}
    assert int(uses.sum()) == 64


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_priorities_that_overflow_show_in_every_weight(place: Place, bad: float) -> None:
    """So that the minibatch is taken back, as with torch's operations; the segments exist."""
    metric, numbers = torch.ones(600), torch.rand(100, dtype=torch.float64)
    metric[123] = bad
    fused = SegmentSampler(600, torch.Generator(), place.device, place.kernels)
    fused.use_scheme("prioritized")
    drawn = fused.choose(*place.put(metric, numbers), 100, SamplingSettings(0.7, 0.4, True, False))
    assert not drawn.weights.isfinite().any()
    assert 0 <= int(drawn.segments.min()) <= int(drawn.segments.max()) < 600


def some_experience(
    observations: int, masked: bool, parts: int, device: torch.device, segments: int = 40
) -> Experience:
    """The same on every device."""
    chance = torch.Generator().manual_seed(observations)
    state = torch.zeros(parts, 2, segments, 6, device=device)
    buffer = RolloutBuffer(9, segments, observations, state, device)
    if masked:
        buffer.masks = torch.zeros(9, segments, device=device)
    experience = Experience(buffer.segments(1), None)
    (store,) = experience.stores
    for each in fields(store):
        value = getattr(store, each.name)
        if isinstance(value, Tensor) and value.is_floating_point():
            value.copy_(torch.randn(value.shape, generator=chance))
        elif each.name in ("actions", "resets"):
            value.copy_(torch.randint(0, 100, value.shape, generator=chance))
    return experience


DRAWN = torch.tensor([0, 0, 3, 7, 7, 7, 20, 38, 39])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("steps", "segments", "fresh", "count"), [(64, 90, 90, 70), (5, 40, 13, 9), (1, 3, 2, 1)])
def test_aims_are_those_of_the_learner(
    place: Place, steps: int, segments: int, fresh: int, count: int, masked: bool
) -> None:
    """Also far from zero, where the squares of what is left are small beside those of the numbers."""
    chance = torch.Generator().manual_seed(steps)
    advantages, values = (100 + torch.randn(steps, segments, generator=chance) for _ in range(2))
    masks = (torch.rand(steps, segments, generator=chance) > 0.3).float() if masked else None
    drawn = torch.randint(0, segments, (count,), generator=chance).sort().values
    weights = torch.rand(count, generator=chance)
    there = None if masks is None else masks.to(place.device)
    aims = place.kernels.aims(*place.put(advantages, values), there, fresh, *place.put(drawn, weights))
    found, returns, live, explained = (each.cpu() for each in aims)
    chosen = None if masks is None else masks[:, drawn]
    expected = normalize(advantages[:, drawn].double(), chosen) * weights
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-4)
    assert torch.equal(returns, advantages[:, drawn] + values[:, drawn])
    assert float(live) == (steps * count if chosen is None else float(chosen.sum()))
    first = None if masks is None else masks[:, :fresh]
    variance = explained_variance(advantages[:, :fresh].double(), values[:, :fresh].double(), first)
    torch.testing.assert_close(explained.double(), variance, rtol=1e-3, atol=1e-3, equal_nan=True)


@pytest.mark.parametrize("value", [0.1, 0.3, 1.7, 35.3, -0.61, 0.7])
@pytest.mark.parametrize("segments", [3, 11, 700])
def test_equal_advantages_aim_at_nothing(place: Place, value: float, segments: int) -> None:
    advantages = torch.full((7, segments), value, device=place.device)
    drawn, weights = torch.arange(segments, device=place.device), torch.ones(segments, device=place.device)
    found = place.kernels.aims(advantages, torch.zeros_like(advantages), None, segments, drawn, weights)[0]
    assert torch.equal(found, torch.zeros_like(advantages))


def test_where_no_step_is_live_there_is_nothing_to_aim_at(place: Place) -> None:
    advantages, masks, weights, drawn = place.put(
        torch.randn(6, 4), torch.zeros(6, 4), torch.ones(2), torch.tensor([1, 3])
    )
    found, _, live, explained = place.kernels.aims(advantages, advantages, masks, 4, drawn, weights)
    assert not found.any()
    assert float(live) == 0
    assert explained.isnan()


@pytest.mark.parametrize(("observations", "parts"), [(1, 0), (3, 1), (6, 2), (118, 1), (512, 1)])
@pytest.mark.parametrize("masked", [False, True])
def test_what_is_gathered_is_what_torch_gathers(place: Place, observations: int, parts: int, masked: bool) -> None:
    """In units of 16, 8, 4 and 1 bytes, and of an empty state."""
    experience, (drawn,) = some_experience(observations, masked, parts, place.device), place.put(DRAWN)
    one, other = experience.gather(drawn, place.kernels), experience.gather(drawn)
    assert (one.masks is None) == (not masked)
    for each in fields(one):
        mine, theirs = getattr(one, each.name), getattr(other, each.name)
        if theirs is not None:
            assert mine.dtype == theirs.dtype
            assert torch.equal(mine, theirs), each.name


@pytest.mark.parametrize("learned", [True, False])
def test_what_is_learned_is_written_back(place: Place, learned: bool) -> None:
    one, other = (some_experience(3, False, 1, place.device) for _ in range(2))
    heads = torch.randn(9, 9, 4)[:, torch.searchsorted(DRAWN, DRAWN)]  # the same for all draws of a segment
    heads, drawn, flag = place.put(heads, DRAWN, torch.tensor(learned))
    values, ratios = heads[..., 3], heads[..., 0].contiguous()
    one.write_back_if(drawn, values, ratios, flag, place.kernels)
    other.write_back_if(drawn, values, ratios, flag, None)
    for name in ("values", "ratios"):
        assert torch.equal(getattr(one.stores[0], name), getattr(other.stores[0], name))
    assert torch.equal(one.stores[0].values[:, 38], values[:, 7]) == learned


def test_a_log_has_the_same_rows(place: Place) -> None:
    one, other = Log(3, 300, place.device), Log(3, 300, CPU)
    chance = torch.Generator().manual_seed(1)
    for turn in range(3):
        drawn, weights = torch.randint(0, 900, (300,), generator=chance), torch.rand(300, generator=chance)
        ratios = 1 + 0.3 * torch.randn(16, 300, generator=chance)
        explained, clip = torch.tensor(turn / 7), torch.tensor(0.1 + turn / 10, dtype=torch.float64)
        other.write(explained, Draw(drawn, weights), ratios, clip)
        drawn, weights, ratios, explained, clip = place.put(drawn, weights, ratios, explained, clip)
        one.write(explained, Draw(drawn, weights), ratios, clip, place.kernels)
    assert int(one.row) == 3
    for name in ("row", "segments", "weights", "clipped", "explained_variance"):
        torch.testing.assert_close(getattr(one, name).cpu(), getattr(other, name), msg=name)


def test_nothing_is_read_or_written_beside_the_arrays(tmp_path: Path) -> None:
    headers = ["host_minibatch.h", "host_driver.h", "minibatch_bounds.h"]
    program = build(minibatch_program(), headers, ["-O1", "-g", "-fsanitize=address,undefined"], tmp_path)
    # Looking for leaks, which there are none to look for, is not allowed in every container.
    options = {"ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([program], env=options, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_host_and_the_device_speak_of_the_same_kernels(place: Place) -> None:
    program = minibatch_program()
    structs: list[type[ctypes.Structure]] = [*ARGUMENTS.values(), device_minibatch.Column]
    for arguments in structs:
        assert f"sizeof({arguments.__name__}) == {ctypes.sizeof(arguments)}" in program.source
    header = "".join(program.headers.values())
    assert f"#define MOST_COLUMNS {device_minibatch.MOST_COLUMNS}\n" in header
    assert f"#define METRIC_SEGMENTS {device_minibatch.METRIC_SEGMENTS}\n" in header
    for name in METRICS[:-1]:
        assert f"#define METRIC_{name.upper()} {METRICS.index(name)}\n" in header
    assert f"#define MOMENTS_CHUNK {device_minibatch.MOMENTS_CHUNK}\n" in header
    assert f"#define UNITS_A_BLOCK {device_minibatch.UNITS}\n" in header
    place.kernels.try_all()  # on nothing they do nothing
