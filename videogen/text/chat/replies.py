"""Replies on disk: what was paid for once is not asked again, also after kill -9."""

import hashlib
import os
import pathlib
import sqlite3
import threading

from videogen.core.errors import DataError
from videogen.text.chat.endpoint import Reply


class Replies:
    """Replies by key, each on disk before `put` returns. For threads of one process."""

    def __init__(self, path: str | os.PathLike[str]):
        """Opens or makes the file, in a folder that is there. DataError if it cannot."""
        self._path = pathlib.Path(path)
        self._lock = threading.Lock()
        try:
            self._file = sqlite3.connect(self._path, check_same_thread=False)
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS replies"
                " (key TEXT PRIMARY KEY, text TEXT NOT NULL, cut INTEGER NOT NULL)"
            )
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def get(self, key: str) -> Reply | None:
        """The reply of a key, or None."""
        with self._lock:
            query = "SELECT text, cut FROM replies WHERE key = ?"
            row = self._execute(query, (key,)).fetchone()
        return None if row is None else Reply(text=row[0], cut=bool(row[1]))

    def put(self, key: str, reply: Reply) -> None:
        with self._lock:
            query = "INSERT OR REPLACE INTO replies VALUES (?, ?, ?)"
            self._execute(query, (key, reply.text, int(reply.cut)))
            self._file.commit()

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _execute(self, query: str, values: tuple) -> sqlite3.Cursor:
        try:
            return self._file.execute(query, values)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> DataError:
        return DataError(
            f"{self._path}: {error}: no file, or one of replies, in a folder that can be "
            "written would work"
        )


def key_of(*parts: str) -> str:
    """A key: equal for equal parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)} {part}".encode())
    return digest.hexdigest()
