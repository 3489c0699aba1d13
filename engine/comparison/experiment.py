"""Which settings make two runs different experiments."""

from __future__ import annotations

from engine.profile import Profile

_SAME_EXPERIMENT = ("train.seed", "train.device")
_SAME_SECTIONS = ("run.", "ui.", "alarms.")


def experiment_settings(profile: Profile) -> dict[str, object]:
    """The settings that make two runs different experiments.

    All but the seed, the device and what concerns only the disk, the screen and the alarms. `train.total_steps` is
    among them: the learning rate's schedule ends there, so that runs of other lengths differ from the first step on.
    """
    return {
        field.key: field.value
        for field in profile.fields()
        if field.key not in _SAME_EXPERIMENT and not field.key.startswith(_SAME_SECTIONS)
    }


def experiment_changes(one: Profile, other: Profile) -> dict[str, tuple[object, object]]:
    """The settings in which `other` is another experiment than `one`: key to (value here, value there)."""
    here, there = experiment_settings(one), experiment_settings(other)
    keys = dict.fromkeys([*here, *there])
    return {key: (here.get(key), there.get(key)) for key in keys if here.get(key) != there.get(key)}
