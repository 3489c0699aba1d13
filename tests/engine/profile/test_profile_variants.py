"""The tables [on.cpu] and [on.cuda]: what holds on which device, and what sets and edits do to it."""

from __future__ import annotations

import pytest
from profile_strategies import document, fault, faults

from engine.profile import Profile

TWO = document(
    "[on.cuda.env]", "agents = 4096", "[on.cuda.train]", "minibatch = 32768", "[on.cpu.train]", "gamma = 0.5"
)


def test_a_variant_holds_on_its_device_and_nowhere_else() -> None:
    profile = Profile.from_toml(TWO)
    assert (profile.env.agents, profile.train.minibatch, profile.train.gamma) == (512, 4096, 0.99)
    cpu, cuda = profile.for_device("cpu"), profile.for_device("cuda")
    assert (cpu.env.agents, cpu.train.minibatch, cpu.train.gamma) == (512, 4096, 0.5)
    assert (cuda.env.agents, cuda.train.minibatch, cuda.train.gamma) == (4096, 32_768, 0.99)
    assert not cpu.on
    assert not cuda.on


def test_the_resolved_profile_names_its_device() -> None:
    """So that a run's saved profile means the same when it is loaded again."""
    profile = Profile.from_toml(TWO)
    assert profile.for_device("cpu").train.device == "cpu"
    assert profile.for_device("cuda:1").train.device == "cuda:1"
    assert profile.with_value("train.device", "cuda:1").for_device("cuda").train.device == "cuda:1"
    assert profile.with_value("train.device", "cuda").for_device("cpu").train.device == "cpu"


def test_an_unknown_device_is_a_fault() -> None:
    assert "must be" in fault(lambda: Profile.from_toml(TWO).for_device("tpu"))


def test_resolving_twice_changes_nothing() -> None:
    cuda = Profile.from_toml(TWO).for_device("cuda")
    assert cuda.for_device("cuda") == cuda


def test_a_set_stands_above_the_variants() -> None:
    profile = Profile.from_toml(TWO, sets=["env.agents=2048"])
    assert profile.for_device("cpu").env.agents == 2048
    assert profile.for_device("cuda").env.agents == 2048
    assert profile.for_device("cuda").train.minibatch == 32_768


def test_an_edit_stands_above_the_variants() -> None:
    profile = Profile.from_toml(TWO).with_value("train.gamma", 0.9)
    assert profile.for_device("cpu").train.gamma == 0.9
    assert profile.for_device("cuda").train.gamma == 0.9


def test_settings_of_the_environment_can_differ_by_device() -> None:
    profile = Profile.from_toml(document("[on.cuda.env.config]", "frame_skip = 2"))
    assert profile.for_device("cpu").env.config["frame_skip"] == 4
    assert profile.for_device("cuda").env.config["frame_skip"] == 2
    assert profile.with_value("env.config.frame_skip", 3).for_device("cuda").env.config["frame_skip"] == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[on.cuda.train]\ngama = 1", "on.cuda.train.gama is not a key; did you mean train.gamma?"),
        ("[on.cuda.train]\ngamma = 2", "on.cuda.train.gamma = 2 must be a number in [0, 1]"),
        ("[on.cuda]\ntrain = 2", "on.cuda.train = 2 must be a table"),
        ("[on]\ncuda = 2", "on.cuda = 2 must be a table"),
        ("[on.cuda.trian]", "on.cuda.trian is not a section; did you mean [train]?"),
        ("[on.cuda.env]\nname = 'maze'", "on.cuda.env.name cannot differ by device"),
        ("[on.cpu.train]\ndevice = 'cuda'", "on.cpu.train.device cannot differ by device"),
        ("[on.cuda.env.config]\nframe_skp = 2", "on.cuda.env.config.frame_skp is not a setting of breakout"),
        ("[on.cuda.train]\nminibatch = 4095", "train.minibatch = 4095 must be a multiple of train.horizon = 64"),
    ],
)
def test_variants_are_checked_when_the_file_is_loaded(text: str, expected: str) -> None:
    assert fault(lambda: Profile.from_toml(document(text), "p")).startswith(f"p.toml: {expected}")


def test_a_fault_of_the_shared_part_is_told_once() -> None:
    problems = faults(lambda: Profile.from_toml(document("[train]", "gamma = 2", *TWO.splitlines()[2:]), "p"))
    assert len(problems) == 1


def test_faults_between_keys_are_told_with_the_device_where_they_are() -> None:
    text = document("[train]", "minibatch = 65536", "[on.cuda.env]", "agents = 4096")
    assert fault(lambda: Profile.from_toml(text, "p")).endswith("512 * 64 = 32_768; write at most that (on cpu)")
    text = document("[train]", "minibatch = 4095", "[on.cuda.env]", "agents = 4096")
    assert fault(lambda: Profile.from_toml(text, "p")).endswith("write e.g. minibatch = 4096")


def test_an_edit_that_one_device_cannot_follow_is_told_when_that_device_is_asked_for() -> None:
    """`--set env.agents=128` on a machine without a GPU is right, whatever the file holds for GPUs."""
    profile = Profile.from_toml(TWO, "p", ["env.agents=128"])
    assert profile.for_device("cpu").env.agents == 128
    assert fault(lambda: profile.for_device("cuda")) == (
        "p on cuda: train.minibatch = 32_768 is more than an iteration collects: "
        "env.agents * train.horizon = 128 * 64 = 8192; write at most that"
    )
    assert "train.minibatch = 32_768 is more" in fault(
        lambda: Profile.from_toml(TWO, "p", ["env.agents=128", "train.device=cuda"])
    )
    assert Profile.from_toml(TWO, "p", ["env.agents=128", "train.device=cpu"]).env.agents == 128


def test_an_edit_that_no_device_can_follow_is_told_at_once() -> None:
    problems = faults(lambda: Profile.from_toml(TWO, "p", ["env.agents=1"]))
    assert [each.rpartition(" (on ")[2] for each in problems] == ["cpu)", "cuda)"]


def test_environments_go_to_a_gpu_with_the_network_alone() -> None:
    text = '[env]\nname = "breakout"\ndevice = "cuda"\n'
    assert fault(lambda: Profile.from_toml(text, "p")) == (
        'p.toml: env.device = "cuda" needs the network on a GPU: write train.device = "cuda", too, or this key below '
        "[on.cuda.env] (on cpu)"
    )
    assert Profile.from_toml(text + "[train]\ndevice = 'cuda'\n").for_device("cuda").env.device == "cuda"
    variant = Profile.from_toml(document("[on.cuda.env]", "device = 'cuda'"))
    assert (variant.for_device("cuda").env.device, variant.for_device("cpu").env.device) == ("cuda", "auto")
    assert Profile.from_toml(variant.for_device("cuda").to_toml()).env.device == "cuda"


def test_bfloat16_is_for_gpus() -> None:
    text = document("[train]", "precision = 'bfloat16'")
    assert fault(lambda: Profile.from_toml(text, "p")) == (
        'p.toml: train.precision = "bfloat16" needs a GPU: write it below [on.cuda.train], where it does not reach the '
        "CPU (on cpu)"
    )
    assert fault(lambda: Profile.from_toml(text, "p", ["train.device=cpu"])).endswith("does not reach the CPU")
    assert Profile.from_toml(text + "device = 'cuda'").for_device("cuda").train.precision == "bfloat16"
    with_cpu_variant = Profile.from_toml(text + "device = 'cuda'\n[on.cpu.env]\nthreads = 1")
    assert "needs a GPU" in fault(lambda: with_cpu_variant.for_device("cpu"))
    variant = Profile.from_toml(document("[on.cuda.train]", "precision = 'bfloat16'"))
    assert variant.for_device("cpu").train.precision == "float32"
    assert Profile.from_toml(variant.for_device("cuda").to_toml()).train.precision == "bfloat16"


def test_both_variants_may_give_what_the_shared_part_does_not_agree_on() -> None:
    text = document("[train]", "minibatch = 100", "[on.cpu.train]", "horizon = 50", "[on.cuda.train]", "horizon = 25")
    assert Profile.from_toml(text).for_device("cuda").train.horizon == 25
