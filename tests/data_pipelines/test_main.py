"""The command line: what is wrong is told in one line, with exit code 43."""

import importlib.util
import subprocess
import sys

import pytest

from data_pipelines.__main__ import BAD_INPUT, main, split_arguments


def fails(capsys, *argv):
    assert main(argv) == BAD_INPUT
    errors = capsys.readouterr().err
    assert errors.startswith("error: ") and errors.count("\n") == 1
    return errors


def test_misspelt_flag_names_the_nearest(capsys):
    assert "did you mean '--stride'" in fails(capsys, "encode", "--strid=4")


def test_required_flags(capsys):
    assert "--videos is required" in fails(capsys, "encode", "--out=x")
    assert "--out is required" in fails(capsys, "encode", "--videos=x")


@pytest.mark.parametrize(
    "flag, word",
    [
        ("--num-frames=16", "13 or 17 would work"),
        ("--height=60", "height=60"),
        ("--fps=0", "fps=0"),
        ("--stride=0", "stride=0"),
        ("--stride=x", "stride"),
        ("--text-encoder=minilmm", "did you mean 'minilm'"),
    ],
)
def test_values_that_cannot_work(capsys, tmp_path, flag, word):
    argv = ["encode", f"--videos={tmp_path}", f"--out={tmp_path / 'out'}", flag]
    assert word in fails(capsys, *argv)
    assert not (tmp_path / "out").exists()


def test_help_tells_every_flag(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["encode", "--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    for flag in ("--videos", "--num-frames", "--fps", "--overwrite", "--runner"):
        assert flag in printed


def test_beam_arguments_stand_after_two_dashes():
    ours, beam = split_arguments(["encode", "--out=x", "--", "--region=y", "--", "z"])
    assert ours == ["encode", "--out=x"]
    assert beam == ["--region=y", "--", "z"]


def test_a_wrong_flag_costs_no_import_of_beam():
    code = (
        "import sys; from data_pipelines.__main__ import main; "
        "main(['encode', '--videos=x', '--out=y', '--stride=0']); "
        "sys.exit('apache_beam' in sys.modules)"
    )
    assert importlib.util.find_spec("apache_beam")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
