"""The code as it is now, in one tarball: all files that git does not ignore."""

import gzip
import hashlib
import io
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from launch.target import LaunchError

MAX_MB = 200


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """`content` is the .tar.gz; `sha256` depends on the files, not on the time."""

    content: bytes
    sha256: str
    commit: str
    num_files: int


def take(root: Path) -> Snapshot:
    """Packs the git work tree at `root`. LaunchError if it is none or too big."""
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    # A tracked file that was deleted is still listed; a submodule is a directory.
    paths = sorted({p for p in listed.split("\0") if p and _is_file(root / p)})
    if not paths:
        raise LaunchError(f"{root}: no files to ship")
    _check_size(root, paths)
    content = _pack(root, paths)
    return Snapshot(
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        commit=_commit(root),
        num_files=len(paths),
    )


def _is_file(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def _check_size(root: Path, paths: list[str]) -> None:
    sizes = {path: os.lstat(root / path).st_size for path in paths}
    total_mb = sum(sizes.values()) / 2**20
    if total_mb > MAX_MB:
        largest = max(sizes, key=lambda path: sizes[path])
        raise LaunchError(
            f"{root}: {total_mb:.0f} MB to ship, the limit is {MAX_MB} MB; the largest "
            f"file is {largest} ({sizes[largest] / 2**20:.0f} MB): add it to .gitignore"
        )


def _pack(root: Path, paths: list[str]) -> bytes:
    """A tar.gz without times and owners: the same files give the same bytes."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for path in paths:
            info = tar.gettarinfo(str(root / path), arcname=path)
            info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
            if info.isreg():
                with open(root / path, "rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)
    return buffer.getvalue()


def _commit(root: Path) -> str:
    try:
        head = _git(root, "rev-parse", "HEAD").strip()
    except LaunchError:
        return "none"
    dirty = _git(root, "status", "--porcelain").strip()
    return f"{head}-dirty" if dirty else head


def _git(root: Path, *args: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *args], capture_output=True, text=True, timeout=60
        )
    except FileNotFoundError:
        raise LaunchError("git is not installed: it lists the files to ship") from None
    if done.returncode:
        raise LaunchError(f"{root}: git {args[0]} failed: {done.stderr.strip()}")
    return done.stdout
