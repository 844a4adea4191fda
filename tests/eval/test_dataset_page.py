"""The page says what a dataset holds, and its facts are right."""

import shutil
import subprocess
import sys

import pytest

from data_pipelines.synthetic import write_synthetic
from videogen import inspect_data
from videogen.core.errors import ConfigError
from videogen.eval import dataset_page


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("shown")
    write_synthetic(
        path, num_records=20, latent_shape=(2, 4, 4, 16), more_shapes=[(1, 4, 6, 16)]
    )
    return path


def test_the_facts_are_those_of_the_data(directory):
    page, facts = dataset_page.render(directory, (1, 2, 2))
    assert facts.counts["tokens of an epoch"] == f"{20 * 8 + 20 * 6:,}"
    by_name = {bucket["bucket"]: bucket for bucket in facts.buckets}
    assert by_name["f2_h4_w4"]["tokens a clip"] == "8"
    assert by_name["f1_h4_w6"]["clips"] == "20"
    (line,) = facts.tokens.lines
    assert (list(line.x), list(line.y)) == ([6, 8], [20, 20])
    low, high = map(float, facts.latents["deviation by channel"].split(" ... "))
    assert 0.5 < low <= high < 2
    assert "waves moving" in facts.captions[0] and facts.captions[0] in page
    assert page.count("data:image/jpeg;base64,") == 2 and "<svg" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_patch_that_does_not_divide_is_named(directory):
    with pytest.raises(ConfigError, match=r"--patch and bucket .*latent frames=1"):
        dataset_page.render(directory, (2, 2, 2))


def test_the_door(directory, tmp_path):
    command = [sys.executable, "-m", "videogen.cli", "inspect", "data"]
    out = tmp_path / "page.html"
    done = subprocess.run(
        [*command, str(directory), f"--out={out}", "--checksums"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "files are as they were written" in done.stdout
    assert "clips 20" in done.stdout and out.stat().st_size > 10_000
    done = subprocess.run(
        [*command, str(tmp_path / "absent")], capture_output=True, text=True
    )
    assert done.returncode == 43 and done.stderr.count("\n") == 1


@pytest.mark.parametrize("patch", ["1,2", "0,2,2", "1,2,x"])
def test_a_patch_that_is_none(directory, capsys, patch):
    with pytest.raises(SystemExit) as stopped:
        inspect_data.main(["data", str(directory), f"--patch={patch}"])
    assert stopped.value.code == 43
    error = capsys.readouterr().err
    assert f"--patch: {patch}: three numbers" in error and error.count("\n") == 1


def test_damage_is_named_before_anything_is_shown(directory, tmp_path, capsys):
    copy = shutil.copytree(directory, tmp_path / "copy")
    (path, *_) = sorted(copy.rglob("text-v1-train.array_record-*"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(SystemExit) as stopped:
        inspect_data.main(["data", str(copy), "--checksums"])
    assert stopped.value.code == 43
    assert path.name in capsys.readouterr().err
