"""`videogen plan`, as a user types it."""

import json
import shlex

import pytest
from doors import ROOT, call, command, succeed

WAN = ROOT / "configs/wan2_1_t2v_1_3b.py"
SMALL = [
    *("model.depth=2", "model.width=512", "model.num_heads=4"),
    *("model.mlp_width=1024", "model.text_dim=64", "data.global_batch=8"),
]
FLAGS = [
    *(f"--config.{field}" for field in SMALL),
    "--latent=1x32x32",
    "--text_tokens=64",
]


def plan(*flags, chips="v5e:4"):
    return command("plan", f"--config={WAN}", f"--chips={chips}", *FLAGS, *flags)


def test_layouts_are_ranked_and_flags_can_be_pasted(tmp_path):
    out = tmp_path / "plan.json"
    said = succeed(plan("--verify=0", "--config.model.remat=full", f"--json={out}"))
    lines = said.splitlines()
    assert lines[0] == "v5e:2x2, 4 devices of 15.75 GiB; a step: 8 clips of 256 tokens"
    assert "unverified" in said
    pasted = lines[-1].removeprefix("flags: ")
    assert pasted.startswith(f"--config={WAN} --config.model.depth=2 ")
    record = json.loads(out.read_text())
    assert record["slices"] == 1 and record["latent"] == [1, 32, 32]
    best, *others = record["layouts"]
    assert all(f"--config.{flag}" in pasted for flag in best["flags"])
    assert "model.remat=full" in best["flags"] and "verified" not in best
    assert all(best["step_seconds"] <= x["step_seconds"] for x in others)


def test_values_of_quotes_can_be_pasted():
    xla = "--config.mesh.xla=('xla_name=value',)"
    fewer = ["--config.model.remat=full", "--config.mesh.tensor=1"]
    said = succeed(plan("--verify=0", xla, *fewer, "--config.mesh.context=1"))
    pasted = shlex.split(said.splitlines()[-1].removeprefix("flags: "))
    assert xla in pasted


def test_the_batch_has_a_short_flag():
    fields = [flag for flag in FLAGS if "global_batch" not in flag]
    given = [
        "--chips=v5e:4",
        "--verify=0",
        "--global_batch=4",
        "--config.mesh.tensor=1",
    ]
    said = succeed(command("plan", f"--config={WAN}", *fields, *given))
    assert "; a step: 4 clips of 256 tokens" in said
    assert "--config.data.global_batch=4" in said.splitlines()[-1]


@pytest.mark.slow  # 4 s each
@pytest.mark.parametrize(
    "flag, said",
    [
        (
            "--config.mesh={'context': 4}",
            "--config.mesh=...: give its fields one by one",
        ),
        ("--verify=1", "libtpu is not installed"),
        ("--latent=0x8x8", "--latent=0x8x8: as 21x60x104"),
        ("--text_tokens=-5", "text_tokens=-5"),
        ("--global_batch=4", "and --config.data.global_batch=8: give one"),
    ],
)
def test_flags_that_cannot_be_are_one_line(flag, said):
    verify = [] if flag.startswith("--verify") else ["--verify=0"]
    done = call(plan(*verify, flag))
    assert done.returncode == 43 and said in done.stderr.splitlines()[-1]


@pytest.mark.slow  # 4 s each
@pytest.mark.parametrize(
    "chips, said",
    [
        ("v9:4", "chip 'v9' is not known (one of: "),
        (
            "v5p:100",
            "chips 'v5p:100': no slice of v5p is of that size; v5p:64 or v5p:128",
        ),
        ("v5e", "chips 'v5e': say how many, as v5e:4"),
        ("v5e:3x5", "topology 'v5e:3x5' is not known: v5e has v5e:2x2, "),
    ],
)
def test_chips_that_cannot_be_are_one_line(chips, said):
    done = call(plan("--verify=0", chips=chips))
    assert done.returncode == 43
    assert said in done.stderr.splitlines()[-1]


@pytest.mark.tpu  # a minute and more
def test_the_best_is_compiled(tmp_path):
    out = tmp_path / "plan.json"
    said = succeed(
        plan("--verify=1", "--config.model.remat=full", "--show=1", f"--json={out}")
    )
    assert "unverified" not in said
    best = json.loads(out.read_text())["layouts"][0]
    assert best["verified"]["report"]["axes"]["fsdp"] >= 1
    assert best["verified"]["spare_gib"] > 0
