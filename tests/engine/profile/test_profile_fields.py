"""The list of keys and its metadata."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from profile_strategies import SMALL

import c_envs
from engine.profile import FieldInfo, Profile, environments
from engine.profile.__main__ import reference
from engine.profile.fields import environment_fields, static_fields
from engine.profile.wording import shown

KEYS = """
env.name env.agents env.device env.threads env.groups
policy.core policy.hidden policy.layers
train.total_steps train.seed train.device train.threads train.horizon train.minibatch train.update_epochs
train.learning_rate* train.adam_learning_rate* train.min_lr_ratio train.schedule train.warmup train.optimizer
train.muon_momentum train.adam_beta1 train.adam_beta2 train.adam_eps train.weight_decay* train.precision train.fused
train.graphs train.gamma* train.gae_lambda* train.clip* train.value_clip* train.value_coef* train.entropy_coef*
train.max_grad_norm* train.rho_clip* train.c_clip* train.reward_clamp*
replay.scheme* replay.alpha* replay.beta0* replay.metric* replay.replacement* replay.factor* replay.refill*
replay.normalize_weights*
run.checkpoint_every* run.keep_checkpoints* run.on_nan* run.on_hangup*
alarms.enabled* alarms.warmup* alarms.raise_after* alarms.clear_after* alarms.entropy_low* alarms.grad_norm_high*
alarms.kl_high* alarms.clip_fraction_high* alarms.explained_variance_low* alarms.explained_variance_after*
alarms.sps_low* alarms.uses_high* alarms.ess_low* alarms.disk_free_low* alarms.gpu_memory_high*
ui.refresh ui.episode_fps ui.theme ui.budget ui.slow_link ui.ascii
"""
"""Every key there is, the live ones with a star. A change is a decision: saved runs rest on it."""


def test_the_keys_are_those_that_were_decided_on() -> None:
    assert [field.key + ("*" if field.live else "") for field in static_fields()] == KEYS.split()


def all_fields() -> list[FieldInfo]:
    return [*static_fields(), *(field for name in environments.names() for field in environment_fields(name))]


def test_every_key_has_help_range_and_a_default_of_its_type() -> None:
    types = {"int": int, "float": float, "bool": bool, "str": str}
    for field in all_fields():
        assert field.help, field
        assert "\n" not in field.help, field
        assert len(field.help) <= 90, field
        assert field.range, field
        if field.key != "env.name":
            assert type(field.default) is types[field.type], field


def test_only_the_environment_has_no_default() -> None:
    assert [field.key for field in all_fields() if field.default is None] == ["env.name"]


def test_numbers_say_their_bounds_in_the_range() -> None:
    for field in all_fields():
        if field.type in ("int", "float"):
            assert field.low is not None
            assert field.high is not None
            assert field.low < field.high
            assert field.range[0] == "(["[not field.low_open]
            assert field.range[-1] == ")]"[not field.high_open]
        if field.choices:
            assert all(shown(choice) in field.range for choice in field.choices)


def test_a_profile_lists_its_values_with_its_environments_settings() -> None:
    fields = Profile.from_toml(SMALL, sets=["train.gamma=0.5", "env.config.frame_skip=2"]).fields()
    values = {field.key: field.value for field in fields}
    assert values["train.gamma"] == 0.5
    assert values["env.name"] == "breakout"
    assert values["env.config.frame_skip"] == 2
    declared = [setting.name for setting in c_envs.ENVIRONMENTS["breakout"].settings]
    assert [field.leaf for field in fields if field.section == "env.config"] == declared
    assert len(fields) == len(KEYS.split()) + len(declared)


def test_the_reference_lists_every_key_on_a_row_of_its_own() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    assert len(rows) == len(all_fields())
    for field, row in zip(all_fields(), rows, strict=True):
        assert row.startswith(f"| `{field.leaf}` |")
        assert row.replace("\\|", "").count("|") == 6


def test_the_reference_is_printed_as_a_module() -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "engine.profile"]
    assert subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout == reference()
