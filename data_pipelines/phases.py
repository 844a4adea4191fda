"""The phases in order, and what running one means: refuse, skip, or work and write.

A phase whose table is there, of the same arguments and of the tables that are there now,
has nothing to do; one whose table is of others refuses. So any of them, and all of them,
may be run again at any time, also after being killed; but in one place by one process.
"""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

from data_pipelines import (
    caption_clips,
    dedup,
    encode,
    ingest,
    score,
    select,
    shots,
    units,
)
from data_pipelines.ahead import check_ahead
from data_pipelines.alone import alone
from data_pipelines.captioning.clip_settings import ClipCaptionSettings
from data_pipelines.finalise import finalise, finished
from data_pipelines.funnel import Funnel
from data_pipelines.job import Job
from data_pipelines.settings import IngestSettings, ScoreSettings, ShotsSettings
from data_pipelines.sources import find_sources, listing_sha256, resolve
from data_pipelines.tables import Arguments, Receipt, Result, Tables
from data_pipelines.target import Target
from data_pipelines.units import Engine
from videogen.core.errors import ConfigError, DataError
from videogen.data.schema import DatasetInfo


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """How a phase works, and whose tables it reads."""

    work: Callable[[Job], Result]
    inputs: tuple[str, ...] = ()
    perhaps: tuple[str, ...] = ()  # further ones, if their tables are there and wanted


PHASES = {
    "ingest": Phase(work=ingest.run),
    "shots": Phase(work=shots.run, inputs=("ingest",)),
    "score": Phase(work=score.run, inputs=("ingest", "shots")),
    "dedup": Phase(work=dedup.run, inputs=("ingest", "shots", "score")),
    "select": Phase(work=select.run, inputs=("ingest", "shots", "score", "dedup")),
    "caption-clips": Phase(
        work=caption_clips.run, inputs=("ingest", "shots", "select")
    ),
    "encode": Phase(
        work=encode.run,
        inputs=("ingest", "shots", "select"),
        perhaps=("caption-clips",),
    ),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One or more phases in one place."""

    tables: Tables
    out: pathlib.Path | None = None  # of encode and finalise
    engine: Engine = dataclasses.field(default_factory=Engine)
    overwrite: bool = False
    say: Callable[[str], None] = print

    def phase(self, name: str, settings: Any) -> Receipt:
        """Runs one phase that has a table. Raises ConfigError or DataError."""
        if name == "encode":
            Target(out=self._out).check(overwrite=self.overwrite)
        with _alone(*self._places(name)):
            return self._phase(name, settings, again=self.overwrite)

    def finalise(self) -> tuple[DatasetInfo, bool]:
        """The dataset, and whether it was there already."""
        self._written("encode").need("encode")
        with _alone(*self._places("finalise")):
            return self._finalise()

    def all(self, settings: dict[str, Any]) -> tuple[DatasetInfo, bool]:
        """Every phase that has settings, in order; the table of another is not read."""
        if self.overwrite or not self._written("encode").receipt("encode"):
            check_ahead(settings)
        Target(out=self._out).check(overwrite=self.overwrite)
        with _alone(self.tables.directory, *self._places("encode")):
            for name in (name for name in PHASES if name in settings):
                self._phase(name, settings[name], again=False, wanted=settings)
            return self._finalise()

    def funnel(self) -> Funnel:
        """Of the phases that have ended."""
        encoded = self._written("encode") if self.out else self.tables
        return Funnel.of(self.tables, encoded)

    def _phase(
        self,
        name: str,
        settings: Any,
        *,
        again: bool,
        wanted: Collection[str] = tuple(PHASES),
    ) -> Receipt:
        phase, written = PHASES[name], self._written(name)
        inputs = self.tables.checksums((*phase.inputs, *self._there(phase, wanted)))
        arguments = _arguments(settings)
        receipt = None
        if not again:
            receipt = written.current(name, arguments, inputs, overwrite=self.overwrite)
        written.remove_unfinished(name)
        if receipt:
            units.remove_parts(written.directory, name)
            self.say(f"{name}: there already")
            return receipt
        self.engine.runner.pipeline()  # a name that Beam does not know: before any work
        start = time.monotonic()
        parts = units.part_directory(written.directory, name, arguments, inputs)
        job = Job(
            phase=name,
            settings=settings,
            tables=self.tables,
            inputs=tuple(inputs),
            parts=parts,
            engine=self.engine,
            out=self.out or pathlib.Path(),
        )
        self.say(f"{name}:")
        result = phase.work(job)
        receipt = written.write(name, result, arguments, inputs)
        units.remove_parts(written.directory, name)
        counts, seconds = receipt.counts, time.monotonic() - start
        self.say(f"  {counts['in']} in, {counts['out']} out, {seconds:.1f} seconds")
        return receipt

    def _there(self, phase: Phase, wanted: Collection[str]) -> list[str]:
        """Its further inputs. One that is there but not wanted is told of."""
        there = [name for name in phase.perhaps if self.tables.receipt(name)]
        for name in there:
            if name not in wanted:
                self.say(f"{name}: a table is there, but nothing asks for it: left out")
        return [name for name in there if name in wanted]

    def _finalise(self) -> tuple[DatasetInfo, bool]:
        encoded = self._written("encode")
        receipt = encoded.need("encode")
        if self.tables.checksums(receipt.inputs) != receipt.inputs:
            raise ConfigError(
                f"--out={self._out} was encoded from other tables than there are now: run "
                f"encode with --overwrite"
            )
        if info := finished(self._out, receipt):
            return info, True
        self.say("finalise:")
        return finalise(self._out, self.tables, encoded), False

    @property
    def _out(self) -> pathlib.Path:
        if self.out is None:
            raise DataError("--out is required")
        return self.out

    def _written(self, phase: str) -> Tables:
        """encode's table lies in its dataset: there may be several of the same tables."""
        if phase == "encode":
            return Tables(Target(out=self._out).tables)
        return self.tables

    def _places(self, phase: str) -> tuple[pathlib.Path, ...]:
        """Where it writes."""
        if phase in ("encode", "finalise"):
            return self._out, Target(out=self._out).tables
        return (self.tables.directory,)


@contextlib.contextmanager
def _alone(*directories: pathlib.Path) -> Iterator[None]:
    """No other process makes or adds to what is there meanwhile."""
    with contextlib.ExitStack() as stack:
        for directory in sorted({path.resolve() for path in directories}):
            with contextlib.suppress(OSError):  # `alone` tells
                directory.mkdir(parents=True, exist_ok=True)
            stack.enter_context(alone(directory))
        yield


def _arguments(settings: Any) -> Arguments:
    if isinstance(settings, ClipCaptionSettings):
        return settings.arguments()
    arguments: Arguments = dataclasses.asdict(settings)
    # What is off changes no table that was made before it was there.
    if not arguments.get("logvar"):
        arguments.pop("logvar", None)
    if isinstance(settings, IngestSettings):
        arguments = {name: value for name, value in arguments.items() if value}
        arguments["videos"] = resolve(settings)
        arguments["listing"] = listing_sha256(find_sources(settings))
    if isinstance(settings, ShotsSettings | ScoreSettings):
        arguments |= settings.files()
    return arguments
