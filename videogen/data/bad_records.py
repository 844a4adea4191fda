"""A record that cannot be used while training: noted, replaced, and no reason to stop yet.

In its place comes the next sound record of its bucket, which is a function of the dataset
alone: every host and every resumed run replaces it by the same. Past a share of the
dataset it is no longer bad luck, and reading stops with an error.
"""

import contextlib
import json
import pathlib
import threading

import numpy as np
from absl import logging

from videogen.core.errors import ConfigError, DataError
from videogen.data.plan import Bucket
from videogen.data.source import Clip, Source


class BadRecords:
    """What was found on this host; may be shared by threads.

    most: the share of `num_records` that may be bad; one always may.
    file: bad_records.jsonl of a run, a line for each, once it is set.
    """

    def __init__(self, num_records: int, most: float):
        if not 0 <= most <= 1:
            raise ConfigError(f"data.max_bad_records={most} must be in [0, 1]")
        self.file: pathlib.Path | None = None
        self._room = max(1, int(most * num_records)) if most else 0
        self._most, self._num_records = most, num_records
        self._reasons: dict[tuple[Bucket, int], str] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._reasons)

    def read(
        self,
        source: Source,
        index: int,
        text: int = 0,
        into_FHWC: np.ndarray | None = None,
    ) -> Clip:
        """`source.clip`, or that of the next row that is sound. DataError: too many."""
        for attempt in range(len(source)):
            row = (index + attempt) % len(source)
            try:
                return source.clip(row, text, into_FHWC)
            except DataError as error:
                self._note(source, row, error)
        raise DataError(f"bucket {source.bucket.name}: no record can be read")

    def _note(self, source: Source, row: int, error: DataError) -> None:
        key = source.bucket, row
        with self._lock:
            if key in self._reasons:
                return
            self._reasons[key] = str(error)
            logging.warning("a bad record is replaced: %s", error)
            if self.file is not None:
                bucket, id = source.bucket.name, _id(source, row)
                line = {"id": id, "bucket": bucket, "row": row, "reason": str(error)}
                with open(self.file, "a") as file:
                    file.write(json.dumps(line) + "\n")
        if len(self) > self._room:
            raise DataError(
                f"{len(self)} bad records of {self._num_records}, more than "
                f"config.data.max_bad_records={self._most} allows; the latest: {error}"
            ) from error


def _id(source: Source, row: int) -> str:
    """Of the row's clip; "" where nothing can say."""
    with contextlib.suppress(DataError):
        return source.id(row)
    return ""
