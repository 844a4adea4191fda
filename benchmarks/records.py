"""Measurements as JSON lines, one a row of a table, and tables in the README.

A record holds `row`, what was measured, and `source`, a hash of what it depends on: a row
whose source has changed is measured again. Of several records of a row the last counts.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
Record = dict[str, Any]


def source_hash(patterns: Iterable[str], packages: Iterable[str]) -> str:
    """Of the files that match the patterns, from the repository's top, and of versions."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in ROOT.glob(pattern)}):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    for name in packages:
        digest.update(f"{name}=={metadata.version(name)}".encode())
    return digest.hexdigest()[:12]


def key(row: Mapping[str, Any]) -> str:
    """A row as text that does not depend on the order of its fields."""
    return json.dumps(row, sort_keys=True)


def read(path: Path) -> dict[str, Record]:
    """The last record of each row, by its key."""
    lines = path.read_text().splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines if line]
    return {key(record["row"]): record for record in records}


def append(path: Path, record: Record) -> None:
    """Adds one line to the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


def compact(path: Path) -> None:
    """Keeps only the last record of each row."""
    lines = [json.dumps(record) + "\n" for record in read(path).values()]
    path.write_text("".join(lines))


def write_between(path: Path, name: str, text: str) -> None:
    """Puts text between <!-- NAME:begin --> and <!-- NAME:end -->. ValueError without."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    whole = path.read_text()
    before, found, rest = whole.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{path.name} has no lines {begin} and {end}: add them")
    path.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}")


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A table: the first column to the left, the others to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *rows])
