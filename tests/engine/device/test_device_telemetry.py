"""What the driver is asked about the card and what becomes of every answer it refuses, at the edge to pynvml."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.device_telemetry import CardProbe
from engine.snapshot import Card
from engine.wire import decode, encode

GIB = 2**30
UUID = "3b6c9a52-0000-1111-2222-333344445555"


class NVMLError(Exception):
    """As pynvml's: any call may raise it."""


class FakeNvml:
    """pynvml with a card named by UUID. Calls named in `refused` raise; `uuids` are known; `mig` is the card's mode."""

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0
    NVML_CLOCK_SM, NVML_CLOCK_MEM = 1, 2

    def __init__(self, refused: tuple[str, ...] = (), uuids: tuple[str, ...] = (f"GPU-{UUID}",), mig: int = 0) -> None:
        self.refused, self.uuids, self.mig = set(refused), uuids, mig
        self.cards = 1
        self.processes = [(os.getpid(), 5 * GIB), (1, 3 * GIB)]
        self.asked: list[str] = []
        self.threads: set[str] = set()

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("nvml"):
            return super().__getattribute__(name)

        def call(*arguments: Any) -> Any:
            self.asked.append(name)
            self.threads.add(threading.current_thread().name)
            if name in self.refused:
                raise NVMLError("Not Supported")
            return super(FakeNvml, self).__getattribute__(name)(*arguments)

        return call

    def nvmlInit(self) -> None:
        """Nothing to do."""

    def nvmlShutdown(self) -> None:
        """Nothing to do."""

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if uuid not in self.uuids:
            raise NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle: str) -> str:
        assert handle.startswith("MIG-")
        return "parent"

    def nvmlDeviceGetCount(self) -> int:
        return self.cards

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return f"number {index}"

    def nvmlDeviceGetMigMode(self, handle: str) -> list[int]:
        return [self.mig, self.mig]

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> SimpleNamespace:
        return SimpleNamespace(gpu=87, memory=40)

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:
        return {f"GPU-{UUID}": 64, "parent": 65, "number 0": 66, "number 1": 67}[handle]

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        return 412_500

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: str) -> int:
        return 700_000

    def nvmlDeviceGetClockInfo(self, handle: str, clock: int) -> int:
        return {1: 1755, 2: 3201}[clock]

    def nvmlDeviceGetMaxClockInfo(self, handle: str, clock: int) -> int:
        return 1980

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self.processes]

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> SimpleNamespace:
        return SimpleNamespace(used=8 * GIB + 1, free=0, total=140 * GIB)


Read = Callable[..., Card]


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., CardProbe]]:
    """A probe of "cuda:N" among `count` that asks a FakeNvml."""
    made: list[CardProbe] = []

    def make(nvml: FakeNvml, index: int = 0, count: int = 1) -> CardProbe:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=UUID))
        made.append(CardProbe(torch.device("cuda", index), nvml, seconds=0.01))
        return made[-1]

    yield make
    for each in made:
        each.close()


def answer(made: CardProbe) -> Card:
    """The first card that is told, or the reason why there is none."""
    before = made.newest
    made.start()
    deadline = time.monotonic() + 10
    while made.newest == before:
        assert time.monotonic() < deadline, "no answer"
        time.sleep(0.002)
    return made.newest


FULL = Card(
    others=3 * GIB + 1,
    utilization=0.87,
    temperature=64,
    power=412.5,
    power_limit=700.0,
    clock=1755,
    clock_limit=1980,
    memory_clock=3201,
)


def test_the_card_is_asked_by_a_thread_of_its_own_until_it_is_closed(probe: Callable[..., CardProbe]) -> None:
    nvml = FakeNvml()
    made = probe(nvml)
    assert made.newest == Card(), "nothing is known before the first answer, and nobody waits for it"
    assert answer(made) == FULL
    made.close()
    assert nvml.threads == {"gpu figures"}
    assert nvml.asked[-1] == "nvmlShutdown"
    asked = len(nvml.asked)
    time.sleep(0.05)
    assert len(nvml.asked) == asked
    made.close()


@pytest.mark.parametrize(
    ("refused", "missing"),
    [
        ("nvmlDeviceGetUtilizationRates", {"utilization"}),
        ("nvmlDeviceGetTemperature", {"temperature"}),
        ("nvmlDeviceGetPowerUsage", {"power"}),
        ("nvmlDeviceGetEnforcedPowerLimit", {"power_limit"}),
        ("nvmlDeviceGetClockInfo", {"clock", "memory_clock"}),
        ("nvmlDeviceGetMaxClockInfo", {"clock_limit"}),
        ("nvmlDeviceGetComputeRunningProcesses", {"others"}),
        ("nvmlDeviceGetMemoryInfo", {"others"}),
        ("nvmlDeviceGetMigMode", set()),
    ],
)
def test_what_a_card_does_not_tell_is_missing_alone(
    probe: Callable[..., CardProbe], refused: str, missing: set[str]
) -> None:
    assert answer(probe(FakeNvml((refused,)))) == replace(FULL, **dict.fromkeys(missing))


@pytest.mark.parametrize("refused", ["nvmlInit", "nvmlDeviceGetCount"])
def test_without_a_driver_the_reason_is_told(probe: Callable[..., CardProbe], refused: str) -> None:
    nvml = FakeNvml((refused,), uuids=())
    assert answer(probe(nvml)) == Card(note="no figures of the card: Not Supported")


def test_of_several_cards_the_one_that_torch_trains_on_is_asked(probe: Callable[..., CardProbe]) -> None:
    """Torch's numbers are not the driver's: the UUID decides. Where none fits, the number must do."""
    nvml = FakeNvml()
    nvml.cards = 4
    card = answer(probe(nvml, index=1, count=4))
    assert card == replace(FULL, index=1, count=4)
    assert "nvmlDeviceGetHandleByIndex" not in nvml.asked
    strange = FakeNvml(uuids=())
    strange.cards = 4
    assert answer(probe(strange, index=1, count=4)).temperature == 67
    hidden = FakeNvml(uuids=())
    assert answer(probe(hidden, index=0, count=1)).temperature == 66


@pytest.mark.parametrize(("uuids", "degrees"), [((f"MIG-{UUID}",), 65), ((f"GPU-{UUID}",), 64)])
def test_of_a_slice_nothing_is_told_that_is_the_whole_cards_load(
    probe: Callable[..., CardProbe], uuids: tuple[str, ...], degrees: int
) -> None:
    card = answer(probe(FakeNvml(uuids=uuids, mig=1)))
    assert (card.mig, card.utilization, card.others, card.temperature) == (True, None, None, degrees)
    assert card.note.startswith("a MIG slice")


@pytest.mark.parametrize("processes", [[], [(1, 3 * GIB)], [(os.getpid(), None)]])
def test_where_the_driver_does_not_know_this_process_what_others_use_is_unknown(
    probe: Callable[..., CardProbe], processes: list[tuple[int, int | None]]
) -> None:
    nvml = FakeNvml()
    nvml.processes = processes  # type: ignore[assignment]
    assert answer(probe(nvml)).others is None


def test_a_driver_that_hangs_holds_nobody_up(probe: Callable[..., CardProbe]) -> None:
    hold = threading.Event()
    nvml = FakeNvml()
    nvml.nvmlDeviceGetPowerUsage = lambda handle: hold.wait(20) and 0  # type: ignore[method-assign]
    made = probe(nvml)
    made.start()
    began = time.monotonic()
    assert made.newest == Card()
    made.close(timeout=0.05)
    assert time.monotonic() - began < 5
    hold.set()


def test_a_card_survives_the_socket() -> None:
    card = replace(FULL, note="text")
    assert decode(Card | None, encode(card), "card") == card


@pytest.mark.gpu(driver=True)
def test_this_machines_card_tells_its_temperature_and_load() -> None:
    made = CardProbe(torch.device("cuda", 0), seconds=0.5)
    made.start()
    deadline = time.monotonic() + 20
    while made.newest.temperature is None:
        assert time.monotonic() < deadline, made.newest
        time.sleep(0.05)
    card = made.newest
    made.close()
    assert 0 < (card.temperature or 0) < 120
    assert card.power is None or card.power > 0
