"""The directory a dataset goes to: is it free, is it done, and what may be removed."""

import contextlib
import dataclasses
import pathlib
import shutil
from collections.abc import Iterator

from videogen.core.errors import ConfigError, DataError
from videogen.data.manifest import DATASET, load_dataset
from videogen.data.schema import DatasetInfo

WORK = ".encode"  # results of workers; its presence marks an unfinished run of ours
# What a run writes once it has a plan, and all that --overwrite or a restart removes.
# dataset.json first: from then on there is no dataset.
TENSORS = ("tokenizer-*.safetensors", "null_text-*.safetensors")
OURS = (DATASET, *TENSORS, "f[0-9]*_h[0-9]*_w[0-9]*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """Where to write. `arguments` identify the run: settings and the videos' listing."""

    out: pathlib.Path
    arguments: dict[str, object]
    overwrite: bool = False

    @property
    def work(self) -> pathlib.Path:
        return self.out / WORK

    def finished(self) -> DatasetInfo | None:
        """The dataset, if these very arguments already made it.

        Raises ConfigError when others did, DataError when the directory holds something
        else; neither with `overwrite`, which only ever removes a dataset's own files.
        """
        if (self.out / DATASET).is_file():
            if self.overwrite:
                return None
            info = load_dataset(self.out)
            self._check_same(info.encode)
            return info
        if self.out.is_dir() and not self.work.is_dir() and any(self.out.iterdir()):
            raise DataError(
                f"--out={self.out} holds files, but no dataset: a new or empty "
                f"directory would work"
            )
        return None

    def start(self) -> None:
        """Makes room for the workers' results. DataError if that is impossible."""
        with self._writing():
            _remove(self.work)
            self.work.mkdir(parents=True)

    def clear(self) -> None:
        """Removes what an earlier run left, the dataset too."""
        with self._writing():
            for pattern in OURS:
                for path in self.out.glob(pattern):
                    _remove(path)

    def finish(self) -> None:
        with self._writing():
            _remove(self.work)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(
                f"--out={self.out} cannot be written: {error.strerror}; a directory of "
                f"yours would work"
            ) from error

    def _check_same(self, made_by: dict[str, object]) -> None:
        """ConfigError naming the argument that differs from the dataset's."""
        ours = self.arguments
        differ = {
            n for n in made_by.keys() | ours.keys() if made_by.get(n) != ours.get(n)
        }
        # Equal videos may lie at another path; of other videos the path says more.
        differ -= {"videos"} if "listing" not in differ else set()
        if not differ:
            return
        name = min(differ, key=lambda name: (name == "listing", name))
        if name == "listing":
            what = f"the videos or captions in {ours['videos']} have changed since"
        else:
            flag = f"--{name.replace('_', '-')}"
            what = f"it was made with {flag}={made_by.get(name)}, not {ours.get(name)}"
        raise ConfigError(
            f"--out={self.out} already holds a dataset, but {what}: give another "
            f"--out, or --overwrite to make it again"
        )


def _remove(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
