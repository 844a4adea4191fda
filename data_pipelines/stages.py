"""The two shapes of work, as Apache Beam pipelines. Only metadata crosses them.

Elements are plans (paths, frame numbers) and results (names, counts, statistics); the
pixels live and die inside one call. Results come back through small text files, sorted
by their number: the order in which workers finish shows nowhere.
"""

import contextlib
import dataclasses
import difflib
import io
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io import WriteToText
from apache_beam.options.pipeline_options import PipelineOptions

from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.guard import Limits
from data_pipelines.pixels import read_levels
from data_pipelines.plan import Shard
from videogen.core.errors import ConfigError, DataError
from videogen.tokenizers import KINDS, make_fitter
from videogen.tokenizers.base import Tokenizer, TokenizerFitter

# Their job servers may know further arguments.
SERVERS = frozenset(("PortableRunner", "FlinkRunner", "SparkRunner", "PrismRunner"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Runner:
    """Where the work runs. `arguments` are Beam's own; sys.argv is never read.

    The default is Beam's in-process runner by name: DirectRunner would first try to
    fetch another runner, and may then run every stage twice.
    """

    name: str = "FnApiRunner"
    arguments: tuple[str, ...] = ()

    def pipeline(self) -> beam.Pipeline:
        """ConfigError for a runner Beam cannot load, or arguments that it does not know."""
        options = self._options()
        try:
            return beam.Pipeline(options=options)
        except (ValueError, ImportError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"--runner={self.name}: {reason}") from error

    def _options(self) -> PipelineOptions:
        """Beam itself would end the process, and passes over what it does not know."""
        options = PipelineOptions(flags=list(self.arguments), runner=self.name)
        try:
            with contextlib.redirect_stderr(io.StringIO()) as told:
                known = options.get_all_options()
                given = options.get_all_options(retain_unknown_options=True)
        except SystemExit as error:
            reason = told.getvalue().splitlines()[-1].partition("error: ")[2]
            raise ConfigError(f"after --: {reason}") from error
        unknown = sorted(given.keys() - known.keys())
        if unknown and self.name not in SERVERS:
            near = difflib.get_close_matches(unknown[0], known, n=1)
            cure = f"; --{near[0]} would work" if near else ""
            raise ConfigError(f"after --: Beam does not know --{unknown[0]}{cure}")
        return options


def map_items(
    items: Sequence[Any],
    make: Callable[[], Callable[[Any], dict]],
    results: pathlib.Path,
    runner: Runner,
) -> list[dict]:
    """make()(item) of each item, in the order of `items`; make() once per worker.

    `results` is the path prefix of the files through which the answers come back.
    Raises DataError when a worker does.
    """
    for stale in _files(results):  # of a run that was killed
        stale.unlink()
    with runner.pipeline() as pipeline:
        _ = (
            pipeline
            | beam.Create(list(enumerate(items)))
            | beam.Reshuffle()
            | beam.ParDo(_Numbered(make))
            | WriteToText(str(results))
        )
    answers = dict(json.loads(line) for line in _lines(results))
    return [_unpack(answers[index]) for index in range(len(items))]


def fit_tokenizer(
    shards: Sequence[Shard],
    settings: EncodeSettings,
    work: pathlib.Path,
    runner: Runner,
    limits: Limits,
) -> Tokenizer:
    """The tokenizer fitted on the shards' clips; `work` takes its first file.

    Raises DataError when a clip cannot be read, or cannot be fitted on.
    """
    for stale in _files(work / "fit"):
        stale.unlink()
    with runner.pipeline() as pipeline:
        _ = (
            pipeline
            | beam.Create(list(enumerate(shards)))
            | beam.Reshuffle()
            | beam.Map(_fit_shard, settings, limits)
            | beam.CombineGlobally(MergeFits(settings.tokenizer))
            | beam.Map(_finish_fit, settings.channels, str(work))
            | WriteToText(str(work / "fit"))
        )
    (line,) = _lines(work / "fit")
    return KINDS[settings.tokenizer].load(work / _unpack(json.loads(line)))


@dataclasses.dataclass(kw_only=True, eq=False)
class Fit:
    """A part of the fit, and why it will fail: shard number -> error."""

    fitter: TokenizerFitter
    errors: dict[int, str] = dataclasses.field(default_factory=dict)

    def merge(self, other: "Fit") -> None:
        self.fitter.merge(other.fitter)
        self.errors |= other.errors


class MergeFits(beam.CombineFn):
    """Adds up Fits, which is exact: their order changes nothing."""

    def __init__(self, tokenizer: str):
        self._tokenizer = tokenizer

    def create_accumulator(self):
        return Fit(fitter=make_fitter(self._tokenizer))

    def add_input(self, mutable_accumulator, element):
        mutable_accumulator.merge(element)
        return mutable_accumulator

    def merge_accumulators(self, accumulators):
        total = self.create_accumulator()
        for accumulator in accumulators:
            total.merge(accumulator)
        return total

    def extract_output(self, accumulator):
        return accumulator


class _Numbered(beam.DoFn):
    """(index, item) -> one line of JSON: [index, {"answer": ...} or {"error": ...}]."""

    def __init__(self, make: Callable[[], Callable[[Any], dict]]):
        self._make = make

    def setup(self):
        self._function = self._make()

    def teardown(self):
        if hasattr(self._function, "close"):
            self._function.close()

    def process(self, element):
        index, item = element
        try:
            content = {"answer": self._function(item)}
        except (ConfigError, DataError) as error:  # one line, not Beam's traceback
            content = {"error": str(error)}
        yield json.dumps([index, content])


def _fit_shard(
    numbered: tuple[int, Shard], settings: EncodeSettings, limits: Limits
) -> Fit:
    index, shard = numbered
    fit = Fit(fitter=make_fitter(settings.tokenizer))
    try:
        clips = read_levels(shard.clips, shard.bucket.size, settings.fps, limits)
        for _, levels_THWC in clips:
            fit.fitter.update(levels_THWC[None])
    except DataError as error:
        fit.errors[index] = str(error)
    return fit


def _finish_fit(fit: Fit, channels: int, directory: str) -> str:
    """One line of JSON: {"answer": file} or the error of the first shard that has one."""
    if fit.errors:
        return json.dumps({"error": fit.errors[min(fit.errors)]})
    try:
        return json.dumps({"answer": fit.fitter.finish(channels).save(directory)})
    except ValueError as error:  # the fitter's word for channels or clips
        return json.dumps({"error": str(error)})


def _unpack(content: dict[str, Any]) -> Any:
    """The answer. DataError when there is an error instead."""
    if "error" in content:
        raise DataError(content["error"])
    return content["answer"]


def _files(prefix: pathlib.Path) -> list[pathlib.Path]:
    return sorted(prefix.parent.glob(f"{prefix.name}-*-of-*"))


def _lines(prefix: pathlib.Path) -> list[str]:
    return [line for file in _files(prefix) for line in file.read_text().splitlines()]
