"""Units of work: a fixed list of items -> one part file. Parts are what a run resumes from.

How a list is split depends on the list alone. A part is written whole (a temporary name,
flushed, renamed) once its unit is done; a run that was killed does the units that have
none. Answers come back in the order of the items, whoever did them, and when.
"""

import collections
import dataclasses
import functools
import hashlib
import json
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import Any

from data_pipelines.guard import Finish, Guard, Limits, Work, as_it_is
from data_pipelines.quarantine import RETRYABLE
from data_pipelines.stages import Runner, map_items
from videogen.core.errors import ConfigError, DataError
from videogen.data.writer import write_file

MOST_UNITS = 64  # of a small list; a long one has units of UNIT_SIZE
UNIT_SIZE = 100

# What the work on one item came to: {"rows": [...]}, or {"code": ..., "reason": ...}.
Answer = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unit:
    """One unit: what one part file answers."""

    index: int
    items: tuple[Any, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Engine:
    """How units are done: where, within which limits, how many failures are too many."""

    runner: Runner = dataclasses.field(default_factory=Runner)
    limits: Limits = dataclasses.field(default_factory=Limits)
    max_failures: float = 0.05  # of all items

    def __post_init__(self):
        if not 0 <= self.max_failures <= 1:
            raise ConfigError(f"--max-failures={self.max_failures}: 0 to 1 would work")


def split(items: Sequence[Any]) -> list[Unit]:
    """The units of a list: a function of its length."""
    size = min(UNIT_SIZE, -(-len(items) // MOST_UNITS) or 1)
    return [
        Unit(index=index, items=tuple(items[first : first + size]))
        for index, first in enumerate(range(0, len(items), size))
    ]


def part_directory(
    tables: pathlib.Path, phase: str, arguments: object, inputs: object
) -> pathlib.Path:
    """Where the parts of these very arguments are."""
    text = json.dumps([arguments, inputs], sort_keys=True)
    return tables / "parts" / f"{phase}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def run_units(
    items: Sequence[Any],
    work: Work,
    parts: pathlib.Path,
    engine: Engine,
    make_finish: Callable[[], Finish] | None = None,
) -> list[Answer]:
    """The answer to each item. `work` gives rows or raises Reject, in a guarded process.

    make_finish: called once per worker, makes what turns the rows of `work` into those of
        the answer, in the worker itself: there it may hold a device.

    Raises DataError when too many items fail for reasons of the machine; those are
    forgotten, so that the next run tries them again.
    """
    units = split(items)
    missing = [u for u in units if read_part(parts, u.index, len(u.items)) is None]
    if missing:
        make = functools.partial(UnitWorker, work, parts, engine.limits, make_finish)
        map_items(missing, make, parts / "done", engine.runner)
    found = [read_part(parts, unit.index, len(unit.items)) or [] for unit in units]
    _check_failures(units, found, parts, engine.max_failures)
    return [answer for part in found for answer in part]


class UnitWorker:
    """Does units; made once per worker."""

    def __init__(
        self,
        work: Work,
        parts: pathlib.Path,
        limits: Limits,
        make_finish: Callable[[], Finish] | None,
    ):
        self._work, self._parts = work, parts
        self._guard = Guard(limits)
        self._finish = make_finish() if make_finish else as_it_is

    def __call__(self, unit: Unit) -> dict:
        answers = [self._guard(self._work, item, self._finish) for item in unit.items]
        write_part(self._parts, unit.index, answers)
        return {}

    def close(self) -> None:
        self._guard.close()


def write_part(parts: pathlib.Path, index: int, answers: Sequence[Answer]) -> None:
    write_file(_part(parts, index), json.dumps(answers).encode())


def read_part(parts: pathlib.Path, index: int, count: int) -> list[Answer] | None:
    """None when the unit is not done, or its part is not whole."""
    try:
        answers = json.loads(_part(parts, index).read_bytes())
    except (OSError, ValueError):
        return None
    return answers if isinstance(answers, list) and len(answers) == count else None


def remove_parts(tables: pathlib.Path, phase: str) -> None:
    """The parts of a phase, of whatever arguments: its table is there, or unwanted."""
    for directory in (tables / "parts").glob(f"{phase}-*"):
        shutil.rmtree(directory)
    if (tables / "parts").is_dir() and not any((tables / "parts").iterdir()):
        (tables / "parts").rmdir()


def _check_failures(
    units: list[Unit], found: list[list[Answer]], parts: pathlib.Path, most: float
) -> None:
    failed = [a for part in found for a in part if a.get("code") in RETRYABLE]
    count = sum(map(len, found))
    if len(failed) <= max(most > 0, most * count):  # one may be that one's own fault
        return
    for unit, part in zip(units, found, strict=True):
        if any(answer.get("code") in RETRYABLE for answer in part):
            _part(parts, unit.index).unlink()
    codes = collections.Counter(answer["code"] for answer in failed)
    code = codes.most_common(1)[0][0]
    reason = next(a["reason"] for a in failed if a["code"] == code)
    raise DataError(
        f"{len(failed)} of {count} items failed, {codes[code]} by {code} ({reason}), more "
        f"than --max-failures={most}: the same command tries them again; {RETRYABLE[code]}"
    )


def _part(parts: pathlib.Path, index: int) -> pathlib.Path:
    return parts / f"{index:06d}.json"
