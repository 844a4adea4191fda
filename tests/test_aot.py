"""`videogen aot`, as a user types it, with a compiler's answers instead of the compiler."""

import dataclasses
import json

import pytest
from absl import flags
from doors import ROOT, call, command
from planner.test_verify import REFUSED, REPORT

from videogen import aot
from videogen import door as doors
from videogen.core.errors import ConfigError
from videogen.cost.compile import CompileError, TrafficReport

WAN = ROOT / "configs/wan2_1_t2v_1_3b.py"
GIB = 2**30
SENT = TrafficReport(
    kind="all-gather",
    axes=("fsdp", "context"),
    what="weights",
    count=60,
    num_bytes=2 * 10**9,
    seconds=0.5,
    exposed_seconds=0.25,
)
FACTS = {"parameters": 1e9, "global_batch": 4.0, "tokens": 8.0, "text_tokens": 2.0}
SIZES = {"peak": 8 * GIB, "argument": 4 * GIB, "alias": 3 * GIB, "temp": 5 * GIB}
DONE = dataclasses.replace(
    REPORT,
    milliseconds=1750.0,
    axes={"fsdp": 2, "context": 2},
    bytes=SIZES | {"host_argument": GIB, "host_temp": 0},
    facts=FACTS,
    traffic=(SENT,),
)


@pytest.fixture
def door(monkeypatch):
    """`main` with flags; the compiler says what it is told to."""

    def run(answer, *given):
        def measure(*_, **__):
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(aot.compiler, "measure", measure)
        doors.parse(["aot", f"--config={WAN}", "--topology=v5e:2x2", *given])
        aot.main()

    yield run
    flags.FLAGS.unparse_flags()


def test_a_step_is_said_and_written(door, tmp_path, capsys):
    out = tmp_path / "report.json"
    door(DONE, "--price=3.6", f"--out={out}")
    said = capsys.readouterr().out
    for part in (
        "4 devices of v5e, mesh fsdp=2 x context=2",
        "batch        4 clips of 8 tokens and 2 of text",
        "peak 8.00 GiB of 15.75 a device: 7.75 to spare",
        "host         1.00 GiB a device",
        "step         2.000 s, MFU 43.8%",  # half the peak in 1.75 of 2 s
        "all-gather",
        "exposed   0.250 s  weights",
        "cost         8.00 for 1,000 steps, at 3.6 a chip-hour",  # 4 x 3.6 / 3600 x 2,000
    ):
        assert part in said
    record = json.loads(out.read_text())
    assert record["step_seconds"] == 2.0 and record["cost_of_1000_steps"] == 8.0
    assert record["report"]["traffic"][0]["kind"] == "all-gather"


def test_what_does_not_fit_comes_with_what_would_help(door):
    with pytest.raises(
        ConfigError, match="needs 20.75 GiB .*model.remat=offload or full"
    ):
        door(CompileError(REFUSED), "--config.data.global_batch=4")


@pytest.mark.slow  # 4 s each
@pytest.mark.parametrize(
    "given, said",
    [
        (("--out=/nowhere/report.json",), "--out=/nowhere/report.json: its folder"),
        ((f"--out={ROOT}",), f"--out={ROOT} is a folder"),
        (("--latent=banana",), "--latent=banana: as 21x60x104"),
        (("--cache=c", "--latent=1x8x8"), "--cache is of the dataset"),
        (("--topology=v9:2x2",), "'v9' is not known"),
        (
            ("--global_batch=4", "--config.data.global_batch=8"),
            "--global_batch=4 and --config.data.global_batch=8: give one",
        ),
        ((), "libtpu is not installed"),
    ],
)
def test_flags_that_cannot_be_are_one_line(given, said):
    place = [] if any("topology" in flag for flag in given) else ["--topology=v5e:2x2"]
    done = call(command("aot", f"--config={WAN}", *place, *given))
    assert done.returncode == 43 and said in done.stderr.splitlines()[-1]
