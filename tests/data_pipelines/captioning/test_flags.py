"""The command line of `caption`: help for every flag, one line for every mistake."""

import pytest
from fake_endpoint import MODEL

from data_pipelines.__main__ import BAD_INPUT, main
from videogen.data.manifest import load_dataset

GOOD = ("--version=v2", "--endpoint=http://127.0.0.1:9/v1", "--model=m")


def fails(capsys, *argv):
    assert main(["caption", *argv]) == BAD_INPUT
    errors = capsys.readouterr().err
    assert errors.startswith("error: ") and errors.count("\n") == 1
    return errors


def test_help_tells_every_flag(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["caption", "--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    for flag in (
        "--version",
        "--endpoint",
        "--from",
        "--max-failures",
        "--text-encoder",
    ):
        assert flag in printed


def test_a_run(dataset, fake, capsys):
    argv = [str(dataset), "--version=v2", f"--endpoint={fake.url}", f"--model={MODEL}"]
    assert main(["caption", *argv]) == 0
    assert f"captioned: v2 of {dataset}" in capsys.readouterr().out
    assert load_dataset(dataset).captions == ("v1", "v2")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--endpont=x"], "did you mean '--endpoint'"),
        (["--version=../v2"], "--version='../v2'"),
        (["--version=.."], "--version='..'"),
        (["--send=film"], "--send='film'"),
        (["--from=x.csv"], "give one of the two"),
        (["--endpoint="], "give one of the two"),
        (["--endpoint=host"], "http://host:8000/v1 would work"),
        (["--model="], "which model"),
        (["--kind=dence"], "--kind='dence' (did you mean 'dense'"),
        (["--frames=0"], "--frames=0"),
        (["--max-failures=2"], "--max-failures=2.0"),
        (["--text-encoder=minilmm"], "did you mean 'minilm'"),
        (["--frames-fps=5"], "what has no --videos has no use for it"),
        (["--videos=tfds:x", "--frames-fps=-5"], "at least 0 would work"),
        (["--videos=x.csv", "--split=test"], "x.csv has no use for it"),
        (["--api-key-env=NO_SUCH_KEY"], "no environment variable 'NO_SUCH_KEY'"),
        (["--threads=x"], "--threads"),
        (["--max-tokens=0"], "--max-tokens=0"),
        (["--", "--region=y"], "no arguments after --"),
    ],
)
def test_values_that_cannot_work(capsys, dataset, changes, message):
    assert message in fails(capsys, str(dataset), *GOOD, *changes)


def test_what_is_missing(capsys, dataset, tmp_path):
    assert "dataset" in fails(capsys, *GOOD)
    assert "--version is required" in fails(capsys, str(dataset), *GOOD[1:])
    assert "no dataset.json" in fails(capsys, str(tmp_path), *GOOD)
