"""The directory a dataset goes to: is it ours to write to, and what may be removed."""

import contextlib
import dataclasses
import pathlib
import shutil
from collections.abc import Iterator

from videogen.core.errors import ConfigError, DataError
from videogen.data.manifest import DATASET, load_dataset

TABLES = "tables"  # of the phases; its presence marks an unfinished dataset of ours
QUARANTINE, FUNNEL = "quarantine.jsonl", "funnel.json"
# All that a new encoding removes. dataset.json first: from then on there is no dataset.
TENSORS = ("tokenizer-*.safetensors", "null_text-*.safetensors")
BUCKETS = "f[0-9]*_h[0-9]*_w[0-9]*"
OURS = (DATASET, QUARANTINE, FUNNEL, *TENSORS, BUCKETS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """Where to write."""

    out: pathlib.Path

    @property
    def tables(self) -> pathlib.Path:
        return self.out / TABLES

    def check(self, *, overwrite: bool) -> None:
        """Makes the directory, or raises when it holds what we did not make.

        DataError for files that are no dataset of ours, ConfigError for a dataset
        without its tables; the latter not with `overwrite`, which only ever removes a
        dataset's own files.
        """
        if not self.tables.is_dir() and self.out.is_dir() and any(self.out.iterdir()):
            if not (self.out / DATASET).is_file():
                raise DataError(
                    f"--out={self.out} holds files, but no dataset: a new or empty "
                    f"directory would work"
                )
            load_dataset(self.out)
            if not overwrite:
                raise ConfigError(
                    f"--out={self.out} already holds a dataset, made elsewhere: give "
                    f"another --out, or --overwrite to make it again"
                )
        with self._writing():
            self.tables.mkdir(parents=True, exist_ok=True)

    def clear(self) -> None:
        """Removes what an earlier run left, the dataset too, but for the tables."""
        with self._writing():
            for pattern in OURS:
                for path in self.out.glob(pattern):
                    _remove(path)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(
                f"--out={self.out} cannot be written: {error.strerror}; a directory of "
                f"yours would work"
            ) from error


def _remove(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
