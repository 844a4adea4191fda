"""What is shipped: all that git does not ignore, reproducibly."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from launch import snapshot
from launch.target import LaunchError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text("/runs/\n")
    (tmp_path / "tracked.py").write_text("1")
    (tmp_path / "gone.py").write_text("2")
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    (tmp_path / "gone.py").unlink()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "new file.sh").write_text("3")
    (tmp_path / "folder" / "new file.sh").chmod(0o755)
    (tmp_path / "link").symlink_to("tracked.py")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "big").write_text("4")
    return tmp_path


def members(taken: snapshot.Snapshot) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(taken.content)) as tar:
        return {member.name: member for member in tar.getmembers()}


def test_tracked_and_new_files_without_ignored_and_deleted(tree: Path):
    taken = snapshot.take(tree)
    found = members(taken)
    assert list(found) == [".gitignore", "folder/new file.sh", "link", "tracked.py"]
    assert found["folder/new file.sh"].mode & 0o111
    assert found["link"].issym()
    assert taken.num_files == 4 and taken.commit == "none"


def test_same_files_same_bytes(tree: Path):
    first = snapshot.take(tree)
    os.utime(tree / "tracked.py", (1, 1))
    assert snapshot.take(tree).content == first.content
    (tree / "tracked.py").write_text("changed")
    assert snapshot.take(tree).sha256 != first.sha256


def test_the_commit_is_recorded_and_marked_when_files_differ(tree: Path):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(
        ["git", *identity, "commit", "-q", "-m", "x", "--no-gpg-sign"],
        cwd=tree,
        check=True,
    )
    assert snapshot.take(tree).commit.endswith("-dirty")
    subprocess.run(["git", "clean", "-fdq"], cwd=tree, check=True)
    subprocess.run(["git", "checkout", "-q", "."], cwd=tree, check=True)
    assert len(snapshot.take(tree).commit) == 40


def test_too_much_names_the_largest_file(tree: Path, monkeypatch):
    monkeypatch.setattr(snapshot, "MAX_MB", 1)
    (tree / "weights").write_bytes(bytes(2 << 20))
    with pytest.raises(LaunchError, match="largest file is weights .2 MB.: add it to"):
        snapshot.take(tree)


def test_not_a_work_tree(tmp_path: Path):
    with pytest.raises(LaunchError, match="git ls-files failed"):
        snapshot.take(tmp_path)
