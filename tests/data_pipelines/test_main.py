"""The command line: what is wrong is told in one line, with exit code 43."""

import dataclasses
import importlib.util
import subprocess
import sys

import pytest

from data_pipelines.__main__ import BAD_INPUT, main, split_arguments
from data_pipelines.flags import PHASES
from data_pipelines.text_settings import TextSettings


def fails(capsys, *argv):
    assert main(argv) == BAD_INPUT
    errors = capsys.readouterr().err
    assert errors.startswith("error: ") and errors.count("\n") == 1
    return errors


def test_misspelt_flag_names_the_nearest(capsys):
    assert "did you mean '--fps'" in fails(capsys, "encode", "--fpss=4")


def test_required_flags(capsys):
    assert "--videos is required" in fails(capsys, "all", "--out=x")
    assert "--out is required" in fails(capsys, "all", "--videos=x")
    assert "--tables is required" in fails(capsys, "score")
    assert "--out is required" in fails(capsys, "encode", "--tables=x")


@pytest.mark.parametrize(
    "flag, word",
    [
        ("--buckets=16x64x96", "13 or 17 would work"),
        ("--buckets=17x60x96", "height=60"),
        ("--fps=0", "--fps=0"),
        ("--min-seconds=2", "--max-seconds=0.6667: at least --min-seconds=2.0"),
        ("--stride-seconds=-1", "--stride-seconds=-1"),
        ("--stride-seconds=0.0001", "--stride-seconds=0.0001"),
        ("--stride-seconds=x", "--stride-seconds"),
        ("--text-encoder=minilmm", "did you mean 'minilm'"),
        (
            "--detector=contant",
            "--detector='contant' cannot be used here (did you mean 'content'",
        ),
        (
            "--where=motion.x > 1",
            "--where='motion.x > 1': 'motion.x' has no place here",
        ),
        ("--scorers=mine", "--scorers='mine': name=module:function would work"),
        ("--shard-mib=0", "--shard-mib=0"),
        ("--validation-sources=1", "--validation-sources=1"),
        ("--timeout-s=0", "--timeout-s=0"),
    ],
)
def test_values_that_cannot_work(capsys, tmp_path, flag, word):
    argv = ["all", f"--videos={tmp_path}", f"--out={tmp_path / 'out'}", flag]
    assert word in fails(capsys, *argv)
    assert not (tmp_path / "out").exists()


def test_add_text(capsys):
    with pytest.raises(SystemExit):
        main(["add-text", "--help"])
    printed = capsys.readouterr().out
    names = {field.name for field in dataclasses.fields(TextSettings)} - {"dataset"}
    assert "directory of the dataset" in printed
    for name in names:
        assert f"--{name.replace('_', '-')}" in printed
    argv = ["add-text", "x", "--version=v2"]
    assert "--text-encoder is required" in fails(capsys, *argv)
    assert "did you mean 'hash'" in fails(capsys, *argv, "--text-encoder=hsh")
    assert "--text-length=0" in fails(
        capsys, *argv, "--text-encoder=hash", "--text-length=0"
    )


@pytest.mark.parametrize("command", [*PHASES, "all"])
def test_help_tells_every_flag(capsys, command):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    kinds = [kind for _, kind in PHASES.values()]
    if command in PHASES:
        kinds = [PHASES[command][1]]
    fields = [field.name for kind in kinds for field in dataclasses.fields(kind)]
    for name in (*fields, "tables", "overwrite", "runner", "timeout_s"):
        assert f"--{name.replace('_', '-')}" in printed


def test_beam_arguments_stand_after_two_dashes():
    ours, beam = split_arguments(["encode", "--out=x", "--", "--region=y", "--", "z"])
    assert ours == ["encode", "--out=x"]
    assert beam == ["--region=y", "--", "z"]


def test_a_wrong_flag_costs_no_import_of_beam():
    code = (
        "import sys; from data_pipelines.__main__ import main; "
        "main(['all', '--videos=x', '--out=y', '--fps=0']); "
        "sys.exit('apache_beam' in sys.modules)"
    )
    assert importlib.util.find_spec("apache_beam")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
