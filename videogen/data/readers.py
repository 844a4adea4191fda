"""Open ArrayRecord files, few at a time: a permutation over all clips touches every shard."""

import collections
import os
import threading
import time

from array_record.python import array_record_module  # type: ignore[attr-defined]

from videogen.core.errors import DataError

# Well below the 1024 files that many systems allow a process; opening takes 0.2 ms.
MOST_OPEN = 256
PAUSES_S = (0.05, 0.5)  # before a record is read again
# For random access: nothing read ahead. The buffer is small because small records are
# scattered; larger ones are read past it in one piece.
_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
_BUFFER_BYTES = 32768


class Readers:
    """At most `most_open` open files, the least recently used of them let go first.

    A reader closes its file when it is no longer referred to: one let go while a thread
    reads from it lives until that thread is done.
    """

    def __init__(self, most_open: int = MOST_OPEN):
        self._most_open = most_open
        self._open: collections.OrderedDict[
            str, array_record_module.ArrayRecordReader
        ] = collections.OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: str | os.PathLike[str], row: int, num_records: int) -> bytes:
        """Record `row`. DataError if unreadable or not of `num_records` records.

        A storage that fails now and then is asked again, with the file opened anew: what is
        left is damage, which every host and every resumed run finds alike.
        """
        path = os.fspath(path)
        for pause_s in (*PAUSES_S, None):
            try:
                return self._reader(path, num_records).read([row])[0]
            except RuntimeError as error:
                with self._lock:
                    self._open.pop(path, None)
                if pause_s is None:
                    raise DataError(
                        f"{path} record {row}: cannot be read: {error}"
                    ) from error
                time.sleep(pause_s)
        raise AssertionError

    def _reader(
        self, path: str, num_records: int
    ) -> array_record_module.ArrayRecordReader:
        with self._lock:
            if reader := self._open.get(path):
                self._open.move_to_end(path)
                return reader
        # Not under the lock: remote files open slowly. Two threads may open the same.
        reader = _open(path, num_records)
        with self._lock:
            self._open[path] = reader
            self._open.move_to_end(path)
            while len(self._open) > self._most_open:
                self._open.popitem(last=False)
        return reader


def _open(path: str, num_records: int) -> array_record_module.ArrayRecordReader:
    reader = array_record_module.ArrayRecordReader(
        path, _OPTIONS, file_reader_buffer_size=_BUFFER_BYTES
    )
    # One that could not open has no records, and says why when it is read.
    if reader.ok() and reader.num_records() != num_records:
        raise DataError(
            f"{path}: {reader.num_records()} records, but the manifest counts "
            f"{num_records}; copy or encode this shard again"
        )
    return reader
