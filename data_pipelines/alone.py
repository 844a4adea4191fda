"""One process at a time adds to a finished dataset: each rewrites dataset.json."""

import contextlib
import fcntl
import pathlib
from collections.abc import Iterator

from videogen.core.errors import ConfigError, DataError

WORK = ".captions"


@contextlib.contextmanager
def alone(directory: pathlib.Path) -> Iterator[pathlib.Path]:
    """The dataset's work directory, ours for now. ConfigError when it is another's."""
    work = directory / WORK
    try:
        work.mkdir(exist_ok=True)
        lock = (work / ".lock").open("w")
    except OSError as error:
        raise DataError(f"{work}: cannot be written: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"{directory} is being added to by another process; wait, or stop it"
            ) from None
        yield work
