"""The command lines are ones that gcloud itself would accept."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from launch import gcloud

NODE = gcloud.Node(name="pod", zone="us-central2-b", project="mine")
COMMANDS = {
    "create": gcloud.create(NODE, accelerator_type="v4-8", version="v", spot=True),
    "describe": gcloud.describe(NODE),
    "delete": gcloud.delete(NODE),
    "ssh": gcloud.ssh(NODE, "all", "true"),
    "scp": gcloud.scp(NODE, ["a", "b"], "folder"),
}


def test_spot_is_asked_for_only_when_wanted():
    plain = gcloud.create(NODE, accelerator_type="v4-8", version="v", spot=False)
    assert set(COMMANDS["create"]) - set(plain) == {"--spot"}


def test_project_is_gclouds_own_when_not_given():
    argv = gcloud.delete(gcloud.Node(name="pod", zone="z"))
    assert argv[4:] == ("delete", "pod", "--zone=z", "--quiet")


@pytest.mark.slow  # 5 s
@pytest.mark.skipif(shutil.which("gcloud") is None, reason="no Google Cloud CLI here")
@pytest.mark.parametrize("verb", COMMANDS)
def test_the_real_gcloud_knows_every_flag(verb: str, tmp_path: Path):
    """Its own parser, without account or network: only the added flag is refused."""
    done = subprocess.run(
        [*COMMANDS[verb], "--certainly-unknown"],
        env={
            **os.environ,
            "CLOUDSDK_CONFIG": str(tmp_path),
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "unrecognized arguments: --certainly-unknown" in done.stderr
    assert done.stderr.count("--") - done.stderr.count("-- SEARCH") == 1, done.stderr
