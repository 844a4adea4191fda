"""Orbax checkpoints of the train state: asynchronous, atomic, newest first.

A step directory appears under its final name only when it is complete, so kill -9 at any
moment leaves the previous one in place. The data position needs no record of its own: a
batch is a function of the step.
"""

from pathlib import Path
from typing import Any, cast

import jax
from absl import logging
from etils import epath
from orbax.checkpoint import v1 as ocp

from videogen.core.errors import DataError
from videogen.train.state import TrainState

# A save that cannot finish (a full disk on one host) surfaces after this long.
SAVE_TIMEOUT_SECONDS = 600


class Checkpoints:
    """The checkpoints of one workdir. `metadata` is stored with each of them.

    A reader (`writes=False`) leaves the unfinished saves of a trainer beside it alone.
    Fields of the state in `omit`, and empty ones, are not saved.
    """

    def __init__(
        self,
        directory: Path,
        *,
        keep: int,
        metadata: dict[str, Any],
        writes: bool = True,
        omit: tuple[str, ...] = (),
    ):
        self._omit = omit
        self._directory = directory
        self.metadata = metadata
        context = ocp.Context()
        context.asynchronous.timeout_secs = SAVE_TIMEOUT_SECONDS
        self._checkpointer = ocp.training.Checkpointer(
            epath.Path(directory),
            context=context,
            # Orbax types its own policies' argument too narrowly.
            preservation_policy=cast(
                Any, ocp.training.preservation_policies.LatestN(keep)
            ),
            cleanup_tmp_directories=writes,
        )

    def latest_step(self) -> int | None:
        """The newest complete step, None when there is none."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def stored_metadata(self) -> dict[str, Any] | None:
        """What was stored with the newest checkpoint, None when there is none."""
        step = self.latest_step()
        if step is None:
            return None
        try:
            stored = self._checkpointer.metadata(step).custom_metadata
        except Exception as error:
            raise unreadable(self._directory / str(step), error) from error
        return cast(dict[str, Any], stored)

    def save(self, step: int, state: TrainState) -> None:
        """Starts a save; returns when the arrays are copied, not when they are written."""
        if self.latest_step() == step:
            return
        self._checkpointer.save_async(
            step, self._saved(state), force=True, custom_metadata=self.metadata
        )

    def restore(self, abstract: TrainState, **omitted: Any) -> TrainState:
        """The newest state, in the shardings of `abstract` (ShapeDtypeStructs).

        omitted: the fields that are not saved.
        """
        step = self.latest_step()
        assert step is not None, self._directory
        path = self._directory / str(step)
        try:
            stored = self._checkpointer.metadata(step).metadata
        except Exception as error:
            raise unreadable(path, error) from error
        wanted = self._saved(abstract)
        _check_shapes(stored, wanted, path)
        try:
            loaded = self._checkpointer.load(step, wanted)
        except Exception as error:
            raise unreadable(path, error) from error
        return TrainState(**loaded, **omitted)

    def _saved(self, state: TrainState) -> dict[str, Any]:
        return {
            name: value
            for name, value in vars(state).items()
            if name not in self._omit and jax.tree.leaves(value)
        }

    def wait(self) -> None:
        """Blocks until what was saved is on disk."""
        self._checkpointer.wait()

    def close(self) -> None:
        """Finishes the save under way."""
        self._checkpointer.close()


def unreadable(path: Path, error: Exception) -> DataError:
    """What to raise when a checkpoint cannot be read."""
    reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return DataError(
        f"checkpoint {path} is damaged ({reason[:300]}); move it away to resume from the "
        "one before"
    )


def _check_shapes(stored: Any, wanted: Any, path: Path) -> None:
    """Orbax casts dtypes silently and reports shapes late; say it first, in one line."""
    flat = {_name(k): leaf for k, leaf in jax.tree.leaves_with_path(wanted)}
    theirs = {_name(k): leaf for k, leaf in jax.tree.leaves_with_path(stored)}
    if not theirs:
        raise unreadable(path, ValueError("no arrays"))
    for name in sorted(flat.keys() | theirs.keys()):
        ours, other = _kind(flat.get(name)), _kind(theirs.get(name))
        if ours != other:
            raise DataError(
                f"checkpoint {path}: {name} is {other} there, {ours} in this config; use "
                "the config it was trained with, or a new --workdir with "
                "--config.init_from"
            )
    logging.debug("%d leaves agree with %s", len(flat), path)


def _name(key_path: Any) -> str:
    return jax.tree_util.keystr(key_path, simple=True, separator=".")


def _kind(leaf: Any) -> str:
    return "absent" if leaf is None else f"{leaf.dtype}{list(leaf.shape)}"
