"""Files and functions stay small enough to read: the limits of CONTRIBUTING.md."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOPS = ("videogen", "data_pipelines", "launch", "configs", "benchmarks", "tests")
FILE, KERNEL_FILE, DOOR_FILE, FUNCTION, LOOP = 500, 900, 80, 80, 70
# Kernel files, by name: hand-written tiles do not cut well.
KERNELS: set[str] = set()


def file_limit(path: str, source: str) -> int:
    """The most lines that a file, named from the top, may have."""
    if path in KERNELS:
        return KERNEL_FILE
    is_door = path.startswith("videogen/") and '__name__ == "__main__"' in source
    return DOOR_FILE if is_door else FILE


def length(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def size_faults(path: str, source: str) -> list[str]:
    """What is too long in one file, a line each."""
    limit = file_limit(path, source)
    lines = source.count("\n")
    faults = [f"{path}: {lines} lines, at most {limit}"] if lines > limit else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            kind, most = node.name, FUNCTION
        elif isinstance(node, (ast.For, ast.While)) and path.startswith(
            "videogen/train/"
        ):
            kind, most = "loop", LOOP
        else:
            continue
        if length(node) > most:
            faults.append(f"{path}:{node.lineno}: {kind}: {length(node)} lines, {most}")
    return faults


def test_nothing_is_too_long():
    paths = sorted(p for top in TOPS for p in (ROOT / top).rglob("*.py"))
    names = [path.relative_to(ROOT).as_posix() for path in paths]
    faults = [
        fault
        for name, path in zip(names, paths, strict=True)
        for fault in size_faults(name, path.read_text())
    ]
    assert not faults, "\n".join(faults)


def test_every_named_kernel_exists():
    assert all((ROOT / name).is_file() for name in KERNELS)


def test_a_long_file_is_found():
    assert size_faults("videogen/train/loop.py", "x = 1\n" * 501)
    assert not size_faults("videogen/train/loop.py", "x = 1\n" * 500)


def test_a_long_door_is_found():
    door = 'if __name__ == "__main__":\n    main()\n'
    assert size_faults("videogen/sample.py", door + "x = 1\n" * 79)
    assert not size_faults("videogen/sample.py", door + "x = 1\n" * 78)
    assert not size_faults("launch/quickstart.py", door + "x = 1\n" * 79)


def test_a_long_function_or_loop_is_found():
    body = "    x = 1\n"
    assert size_faults("videogen/nn/norm.py", "def f():\n" + body * 80)
    assert not size_faults("videogen/nn/norm.py", "def f():\n" + body * 79)
    assert size_faults("videogen/train/loop.py", "for i in y:\n" + body * 70)
    assert not size_faults("videogen/nn/norm.py", "for i in y:\n" + body * 70)
