"""Pauses, single iterations and checkpoints asked for at any moment: none is lost, none undoes another."""

from __future__ import annotations

import random

import pytest

from engine.control import Control


def run_on(control: Control) -> int:
    """What the trainer does until it is held, at most ten turns; the number of checkpoints it saves."""
    saved = 0
    for _ in range(10):
        if control.take_checkpoint_request():
            saved += 1
            control.settle()
        elif control.held:
            break
        else:
            control.end_iteration()
    return saved


def test_a_resume_that_comes_while_a_paused_run_saves_ends_the_pause() -> None:
    """Law: between the request for a checkpoint and the pause that holds again, a resume is not lost."""
    control = Control()
    assert control.pause()
    control.request_checkpoint()
    assert not control.held
    assert control.resume()
    assert run_on(control) == 1
    assert not control.held


def test_a_pause_does_not_hold_up_a_checkpoint_that_was_asked_for() -> None:
    """Law: what was asked for first is done first, and then the run stands still."""
    control = Control()
    control.request_checkpoint()
    assert control.pause()
    assert not control.held
    assert run_on(control) == 1
    assert control.held


def test_what_changes_nothing_says_so() -> None:
    """Law: an event tells of what happened, not of a key that had no effect."""
    control = Control()
    assert not control.resume()
    assert not control.step_iteration()
    assert control.pause()
    assert not control.pause()
    assert control.step_iteration()
    assert control.pause()  # the single iteration is given up
    assert control.resume()
    control.stop(checkpoint=True)
    assert not control.pause()


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_requests_ends_as_the_last_of_them_says(seed: int) -> None:
    """Law: after any requests, with the trainer at work between them, every checkpoint asked for is saved, and the run
    stands still exactly where the last pause or resume says so."""
    generator = random.Random(seed)
    control = Control()
    paused, asked = False, False
    for _ in range(200):
        request = generator.choice(("pause", "resume", "step", "checkpoint", "work"))
        if request == "pause":
            control.pause()
            paused = True
        elif request == "resume":
            control.resume()
            paused = False
        elif request == "step":
            assert control.step_iteration() is paused
        elif request == "checkpoint":
            control.request_checkpoint()
            asked = True
        else:
            assert (run_on(control) > 0) is asked
            asked = False
            assert control.held is paused
