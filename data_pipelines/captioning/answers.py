"""Rows of a dataset in, one answer each out, in the same order."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Protocol

from videogen.data.source import Source


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the dataset, unread."""

    source: Source
    index: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """A clip's caption, or why it has none: a code to count, a reason to read."""

    id: str
    caption: str | None
    code: str = ""
    reason: str = ""


class Captioner(Protocol):
    """What an endpoint and a file have in common."""

    @property
    def model(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def origin(self) -> str: ...  # CaptionInfo.origin

    def __call__(self, rows: Iterable[Row]) -> Iterator[Answer]: ...
