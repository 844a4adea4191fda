"""The two shapes of work, as Apache Beam pipelines. Only metadata crosses them.

Elements are plans (paths, frame numbers) and results (names, counts, statistics); the
pixels live and die inside one call. Results come back through small text files, sorted
by their number: the order in which workers finish shows nowhere.
"""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io import WriteToText
from apache_beam.options.pipeline_options import PipelineOptions

from data_pipelines.pixels import read_clips
from data_pipelines.plan import Shard
from data_pipelines.settings import EncodeSettings
from videogen.core.errors import ConfigError, DataError
from videogen.tokenizers.linear import Fitter, LinearTokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Runner:
    """Where the work runs. `arguments` are Beam's own; sys.argv is never read.

    The default is Beam's in-process runner by name: DirectRunner would first try to
    fetch another runner, and may then run every stage twice.
    """

    name: str = "FnApiRunner"
    arguments: tuple[str, ...] = ()

    def pipeline(self) -> beam.Pipeline:
        """Raises ConfigError for a runner that Beam does not know or cannot load."""
        options = PipelineOptions(flags=list(self.arguments), runner=self.name)
        try:
            return beam.Pipeline(options=options)
        except (ValueError, ImportError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"--runner={self.name}: {reason}") from error


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
    with runner.pipeline() as pipeline:
        _ = (
            pipeline
            | beam.Create(list(enumerate(items)))
            | beam.Reshuffle()
            | beam.ParDo(_Numbered(make))
            | WriteToText(str(results))
        )
    answers = dict(json.loads(line) for line in _lines(results))
    failed = [answers[i]["error"] for i in sorted(answers) if "error" in answers[i]]
    if failed:
        raise DataError(failed[0])
    return [answers[index]["answer"] for index in range(len(items))]


def fit_tokenizer(
    shards: Sequence[Shard],
    settings: EncodeSettings,
    work: pathlib.Path,
    runner: Runner,
) -> LinearTokenizer:
    """The linear tokenizer fitted on the shards' clips; `work` takes its first file."""
    with runner.pipeline() as pipeline:
        _ = (
            pipeline
            | beam.Create(list(shards))
            | beam.Reshuffle()
            | beam.Map(_fit_shard, settings)
            | beam.CombineGlobally(MergeFits())
            | beam.Map(_finish_fit, settings.channels, str(work))
            | WriteToText(str(work / "fit"))
        )
    (file,) = _lines(work / "fit")
    return LinearTokenizer.load(work / file)


class MergeFits(beam.CombineFn):
    """Adds up Fitters, which is exact: their order changes nothing."""

    def create_accumulator(self):
        return Fitter()

    def add_input(self, mutable_accumulator, element):
        mutable_accumulator.merge(element)
        return mutable_accumulator

    def merge_accumulators(self, accumulators):
        total = Fitter()
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

    def process(self, element):
        index, item = element
        try:
            content = {"answer": self._function(item)}
        except (ConfigError, DataError) as error:  # one line, not Beam's traceback
            content = {"error": str(error)}
        yield json.dumps([index, content])


def _fit_shard(shard: Shard, settings: EncodeSettings) -> Fitter:
    fitter = Fitter()
    for _, pixels_THWC in read_clips(shard.clips, settings.height, settings.width):
        fitter.update(pixels_THWC[None])
    return fitter


def _finish_fit(fitter: Fitter, channels: int, directory: str) -> str:
    return fitter.finish(channels).save(directory)


def _lines(prefix: pathlib.Path) -> list[str]:
    files = sorted(prefix.parent.glob(f"{prefix.name}-*-of-*"))
    return [line for file in files for line in file.read_text().splitlines()]
