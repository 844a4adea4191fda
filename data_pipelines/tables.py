"""The table of each phase: Parquet, keyed by id, with a receipt of what made it.

    <tables>/<phase>.parquet          the rows, in an order that no worker decides
    <tables>/<phase>.rejected.jsonl   what the phase set aside, with code and reason
    <tables>/<phase>.json             Receipt; written last: without it there is no table

A table depends on its phase's arguments and on the tables it was made of, by checksum:
so a table edited by hand, or made with other settings, is noticed and never used.
"""

import collections
import dataclasses
import hashlib
import io
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from data_pipelines.quarantine import Rejected, from_lines, to_lines
from data_pipelines.settings import flag
from videogen.core.errors import ConfigError, DataError
from videogen.data.writer import write_file

Row = dict[str, Any]
Columns = Mapping[str, type]  # name -> str, int, float or bool; None is a null
Arguments = dict[str, object]

SUFFIXES = ("json", "rejected.jsonl", "parquet")
# Arguments that are no flags: what lies in files that flags name.
_CONTENTS = {
    "listing": "videos or captions in {videos}",
    "detector_weights": "weights of --detector={detector}",
    "scorer_files": "files of --scorers={scorers}",
    "instructions": "instructions of --caption-kind={caption_kind}",
}
_KINDS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Receipt:
    """What made a table, and what it is."""

    phase: str
    arguments: Arguments  # of the phase, by the names of its flags
    inputs: dict[str, str]  # phase -> sha256 of its table
    sha256: str  # of the Parquet file
    counts: dict[str, int]  # in, out, and each reject code
    facts: dict[str, Any]  # what a phase adds


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What a phase found: the rows, what it set aside, and how many it was given."""

    columns: Columns
    rows: Sequence[Row]
    rejected: Sequence[Rejected]
    given: int
    kept: int | None = None  # rows that go on; all by default
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)


class Tables:
    """The tables of one directory."""

    def __init__(self, directory: str | os.PathLike[str]):
        self.directory = pathlib.Path(directory)

    def receipt(self, phase: str) -> Receipt | None:
        """None when the phase has not ended. DataError for a damaged receipt."""
        path = self._path(phase, "json")
        if not path.is_file():
            return None
        try:
            return Receipt(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{path}: {error}: run {phase} with --overwrite") from error

    def need(self, phase: str) -> Receipt:
        """The receipt of a phase that must have ended. DataError naming the command."""
        if (receipt := self.receipt(phase)) is None:
            raise DataError(
                f"{self._path(phase, 'parquet')}: not there yet: run "
                f"`python -m data_pipelines {phase}` first, or all of it by `all`"
            )
        return receipt

    def checksums(self, phases: Iterable[str]) -> dict[str, str]:
        """{phase: sha256 of its table}. ConfigError unless all were made of each other."""
        receipts = {phase: self.need(phase) for phase in phases}
        for phase, receipt in receipts.items():
            for given, sha256 in receipt.inputs.items():
                if self.need(given).sha256 != sha256:
                    raise ConfigError(
                        f"{self._path(phase, 'parquet')} was made of another table of "
                        f"{given} than there is now: run {phase} with --overwrite"
                    )
        return {phase: receipt.sha256 for phase, receipt in receipts.items()}

    def read(self, phase: str) -> list[Row]:
        """The rows. DataError when missing, or not as the phase wrote them."""
        return self.read_table(phase).to_pylist()

    def read_table(self, phase: str) -> pa.Table:
        receipt, path = self.need(phase), self._path(phase, "parquet")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != receipt.sha256:
            raise DataError(
                f"{path}: changed since {phase} wrote it: run {phase} again with "
                f"--overwrite (conditions on its columns belong in `select --where`)"
            )
        return parquet.read_table(io.BytesIO(content))

    def rejected(self, phase: str) -> list[Rejected]:
        """What the phase set aside. DataError when that is gone, or no lines of ours."""
        path = self._path(phase, "rejected.jsonl")
        try:
            return from_lines(path.read_text())
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{path}: {error}: run {phase} with --overwrite") from error

    def current(
        self,
        phase: str,
        arguments: Arguments,
        inputs: dict[str, str],
        *,
        overwrite: bool = False,
    ) -> Receipt | None:
        """The receipt of the table that just these make; None when there is no table.

        Raises ConfigError, naming the flag or table that differs, when others made it;
        with `overwrite` that is as good as none.
        """
        receipt = self.receipt(phase)
        if receipt is None:
            return None
        if differ := _differences(receipt, arguments, inputs):
            if overwrite:
                return None
            raise ConfigError(
                f"{self._path(phase, 'parquet')} was made with {differ}: give another "
                f"directory, or --overwrite to make it again"
            )
        return receipt

    def write(
        self, phase: str, result: Result, arguments: Arguments, inputs: dict[str, str]
    ) -> Receipt:
        """Writes the table whole, its receipt last. DataError for an id that is twice."""
        content = _parquet(phase, result)
        codes = collections.Counter(item.code for item in result.rejected)
        kept = len(result.rows) if result.kept is None else result.kept
        receipt = Receipt(
            phase=phase,
            arguments=arguments,
            inputs=inputs,
            sha256=hashlib.sha256(content).hexdigest(),
            counts={"in": result.given, "out": kept, **dict(sorted(codes.items()))},
            facts=result.facts,
        )
        self.remove(phase)
        write_file(self._path(phase, "parquet"), content)
        lines = to_lines(result.rejected).encode()
        write_file(self._path(phase, "rejected.jsonl"), lines)
        text = json.dumps(dataclasses.asdict(receipt), indent=1, sort_keys=True)
        write_file(self._path(phase, "json"), f"{text}\n".encode())
        return receipt

    def remove(self, phase: str) -> None:
        """The receipt first: from then on there is no table."""
        for suffix in SUFFIXES:
            self._path(phase, suffix).unlink(missing_ok=True)

    def remove_unfinished(self, phase: str) -> None:
        """What killed processes had not finished writing; the directory may be anybody's."""
        for suffix in SUFFIXES:
            for path in self.directory.glob(f".{phase}.{suffix}.*"):
                path.unlink(missing_ok=True)

    def _path(self, phase: str, suffix: str) -> pathlib.Path:
        return self.directory / f"{phase}.{suffix}"


def _parquet(phase: str, result: Result) -> bytes:
    ids = collections.Counter(row["id"] for row in result.rows)
    if twice := [id for id, count in ids.items() if count > 1]:
        raise DataError(f"{phase}: the id {twice[0]} is there {ids[twice[0]]} times")
    fields = [pa.field(name, _KINDS[kind]) for name, kind in result.columns.items()]
    table = pa.Table.from_pylist(list(result.rows), schema=pa.schema(fields))
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()


def _differences(receipt: Receipt, arguments: Arguments, inputs: dict[str, str]) -> str:
    """Which flag, or else which table, is another one; "" when none is."""
    made_by = receipt.arguments
    names = made_by.keys() | arguments.keys()
    differ = {name for name in names if made_by.get(name) != arguments.get(name)}
    if differ:  # of other videos the path says more than the listing
        name = min(differ, key=lambda name: (name in _CONTENTS, name))
        if name in _CONTENTS:
            return f"other {_CONTENTS[name]} than there are now".format(**arguments)
        return f"{flag(name)}={made_by.get(name)}, not {arguments.get(name)}"
    if gone := sorted(receipt.inputs.keys() - inputs.keys()):
        return f"a table of {gone[0]}, which is left out now"
    other = [phase for phase in inputs if receipt.inputs.get(phase) != inputs[phase]]
    return f"another table of {other[0]} than there is now" if other else ""
