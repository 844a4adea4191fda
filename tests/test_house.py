"""The house is tidy: names, encoding, weight in git, the top level, lab notes."""

import ast
import re
import subprocess
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
TOP_FOLDERS = {
    *("videogen", "configs", "data_pipelines", "launch", "tests", "benchmarks", ".ci"),
    "docs",
}
TOP_FILES = {
    *("setup.py", "pyproject.toml", "Makefile", "LICENSE", ".gitignore"),
    *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"),
    *("requirements.lock", "requirements-nodeps.lock"),
    *("requirements-parity.lock", "requirements-tpu.lock"),
    "requirements-benchmarks.lock",
}
# Names that say nothing about what is inside.
EMPTY_NAME = re.compile(
    r"^(utils?|helpers?|misc|common|tools)$|_(lib|utils?|helpers?)$"
)
# The escaped dots keep this file from matching itself.
PACKAGE_HOST = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|anaconda\.org|crates\.io"
    r"|-index-u[r]l|trusted-hos[t]|find-l[i]nks"
)
# Spelled to switch off what a package tool would write; names no host.
HOST_FREE = ("--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host")
MOST_BYTES = 1_000_000
TEXT_SUFFIXES = {
    ".py",
    ".toml",
    ".lock",
    ".sh",
    ".jinja",
    ".cfg",
    ".md",
    ".json",
    ".txt",
    "",
}


def name_faults(path: str) -> list[str]:
    """Folders and modules of a path whose name says nothing."""
    parts = PurePosixPath(path).with_suffix("").parts
    bad = [part.removeprefix("test_") for part in parts]
    return [f"{path}: {part}" for part in bad if EMPTY_NAME.search(part)]


def ascii_faults(path: str, data: bytes) -> list[str]:
    lines = enumerate(data.split(b"\n"), 1)
    return [
        f"{path}:{number}: not ASCII" for number, line in lines if not line.isascii()
    ]


def host_faults(path: str, text: str) -> list[str]:
    """Mentions of a package registry: which one to use is the machine's affair."""
    for option in HOST_FREE:
        text = text.replace(option, "")
    return [f"{path}: {match[0]}" for match in PACKAGE_HOST.finditer(text)]


def top_faults(paths: list[str]) -> list[str]:
    heads = {PurePosixPath(path).parts[0] for path in paths}
    return sorted(heads - TOP_FOLDERS - TOP_FILES)


def config_faults(path: str, source: str) -> list[str]:
    """A config says what it is in a docstring and offers get_config."""
    tree = ast.parse(source)
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    faults = [] if ast.get_docstring(tree) else [f"{path}: no docstring"]
    if "get_config" not in functions | imported:
        faults.append(f"{path}: no get_config")
    return faults


@pytest.fixture(scope="module")
def files() -> list[str]:
    """Paths that git tracks or would add, from the top."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return sorted(p for p in listed.stdout.split("\0") if (ROOT / p).is_file())


def is_text(path: str) -> bool:
    return PurePosixPath(path).suffix in TEXT_SUFFIXES


def test_names_say_what_is_inside(files):
    faults = [fault for path in files for fault in name_faults(path)]
    assert not faults, "\n".join(faults)


def test_sources_are_ascii(files):
    texts = [path for path in files if is_text(path)]
    faults = [
        f for path in texts for f in ascii_faults(path, (ROOT / path).read_bytes())
    ]
    assert not faults, "\n".join(faults)


def test_no_package_host_is_named(files):
    texts = [path for path in files if is_text(path)]
    faults = [f for path in texts for f in host_faults(path, (ROOT / path).read_text())]
    assert not faults, "\n".join(faults)


def test_no_file_is_heavy(files):
    heavy = [path for path in files if (ROOT / path).stat().st_size > MOST_BYTES]
    assert not heavy, heavy


def test_top_level_is_as_stated(files):
    assert not top_faults(files)


def test_configs_are_lab_notes(files):
    configs = [p for p in files if re.fullmatch(r"configs/(?!__init__)\w+\.py", p)]
    faults = [
        f for path in configs for f in config_faults(path, (ROOT / path).read_text())
    ]
    assert not faults, "\n".join(faults)


def test_each_fault_is_found():
    assert name_faults("videogen/train/utils.py")
    assert name_faults("videogen/data_utils/plan.py")
    assert name_faults("tests/test_helpers.py")
    assert ascii_faults("a.py", "x = 'caf\u00e9'".encode())
    assert host_faults("README.md", "see https://" + "pypi" + ".org/simple")
    assert host_faults("r.lock", "--extra-index" + "-url https://host")
    assert top_faults(["videogen/cli.py", "notes.txt"]) == ["notes.txt"]
    assert len(config_faults("configs/a.py", "x = 1")) == 2


def test_good_files_pass():
    assert not name_faults("videogen/train/metrics.py")
    assert not ascii_faults("a.py", b"x = 1")
    assert not host_faults("Makefile", "pip-compile --no-emit-index-url")
    assert not config_faults("configs/a.py", '"""A."""\ndef get_config():\n    pass')
