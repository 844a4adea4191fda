"""Captions that people, or other programs, wrote into a file: clip id -> caption."""

import csv
import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterable, Iterator

from data_pipelines.captioning.answers import Answer, Row
from data_pipelines.captioning.settings import GIVEN, CaptionSettings
from videogen.core.errors import ConfigError, DataError
from videogen.text.chat.endpoint import is_utf8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Given:
    """Captions of a file, by clip id."""

    captions: dict[str, str]
    model: str
    kind: str
    origin: str

    def __call__(self, rows: Iterable[Row]) -> Iterator[Answer]:
        for row in rows:
            id = row.source.id(row.index)
            caption = self.captions.get(id)
            if caption:
                yield Answer(id=id, caption=caption)
            elif caption is None:
                reason = "the file does not have it"
                yield Answer(id=id, caption=None, code="MISSING", reason=reason)
            else:
                reason = "its caption is empty"
                yield Answer(id=id, caption=None, code="EMPTY", reason=reason)


def make_given(settings: CaptionSettings) -> Given:
    """The captions of --from. Raises as `read_captions`."""
    captions = read_captions("from", settings.from_file)
    content = pathlib.Path(settings.from_file).read_bytes()
    return Given(
        captions=captions,
        model=settings.model or GIVEN,
        kind=settings.kind or GIVEN,
        origin=hashlib.sha256(content).hexdigest(),
    )


def read_captions(flag: str, file: str) -> dict[str, str]:
    """Clip id -> caption, of a .jsonl, .csv or .parquet of both. DataError if not."""
    path = pathlib.Path(file)
    readers = {".jsonl": _read_jsonl, ".csv": _read_csv, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise ConfigError(f"--{flag}={path}: a {', '.join(readers)} file would work")
    captions: dict[str, str] = {}
    try:
        for number, row in enumerate(readers[path.suffix](path), 1):
            if not isinstance(row, dict):
                raise ValueError(f"row {number} is no object: {row!r:.100}")
            id, caption = row.get("id"), row.get("caption")
            if not isinstance(id, str) or not isinstance(caption, str | None):
                raise ValueError(
                    f"row {number} has no texts id and caption: {row!r:.100}"
                )
            if not is_utf8(id + (caption or "")):
                raise ValueError(f"row {number} is not UTF-8: {row!r:.100}")
            if id in captions:
                raise ValueError(f"row {number}: clip {id} was there before")
            captions[id] = (caption or "").strip()
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"--{flag}={path}: {reason}") from error
    return captions


def _read_jsonl(path: pathlib.Path) -> Iterator[dict]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def _read_csv(path: pathlib.Path) -> Iterator[dict]:
    with path.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def _read_parquet(path: pathlib.Path) -> Iterator[dict]:
    import pyarrow.parquet  # only of those who have such a file

    table = pyarrow.parquet.read_table(path, columns=["id", "caption"])
    yield from table.to_pylist()
