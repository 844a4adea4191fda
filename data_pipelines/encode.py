"""A folder of videos becomes a dataset: inspect, plan, fit, encode, finish.

inspect   each source: decode, find shots, cut clips            Beam, one per source
plan      duplicates, hold-out, rows of shards                  here
fit       each train shard: moments of pixels -> tokenizer      Beam, combined
encode    each shard: decode, tokenise, embed captions, write   Beam, one per shard
finish    manifest.json, quarantine.jsonl, dataset.json         here, in this order
"""

import contextlib
import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence

from data_pipelines import inspect_source, quarantine
from data_pipelines.finish import Outcome, write_outcome
from data_pipelines.plan import Plan, make_plan
from data_pipelines.settings import EncodeSettings
from data_pipelines.shard import ShardEncoder, ShardResult
from data_pipelines.sources import Source, find_sources, listing_sha256
from data_pipelines.stages import Runner, fit_tokenizer, map_items
from data_pipelines.target import Target
from data_pipelines.text import load_text_encoder
from videogen.data.schema import DatasetInfo


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What a run did; no outcome when an earlier run had already made the dataset."""

    info: DatasetInfo
    outcome: Outcome | None = None
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What every stage needs to know."""

    settings: EncodeSettings
    target: Target
    runner: Runner


def encode(
    settings: EncodeSettings,
    out: str,
    *,
    overwrite: bool = False,
    runner: Runner | None = None,
    say: Callable[[str], None] = print,
) -> Report:
    """Makes the dataset `out`, unless it is there. Raises ConfigError or DataError."""
    sources = find_sources(settings.videos)
    arguments = settings.arguments
    arguments["listing"] = listing_sha256(sources)
    directory = pathlib.Path(out).resolve()
    target = Target(out=directory, arguments=arguments, overwrite=overwrite)
    if info := target.finished():
        return Report(info=info)
    text_encoder = load_text_encoder(settings.text_encoder, settings.text_length)
    job = Job(settings=settings, target=target, runner=runner or Runner())
    job.runner.pipeline()  # a name that Beam does not know: before anything is removed
    target.start()
    seconds: dict[str, float] = {}
    with _stage(f"inspect: {len(sources)} videos", seconds, say):
        plan = _plan(job, sources)
    quarantine.write(target.out, plan.rejected)
    plan.check()
    target.clear()
    train, validation = plan.counts["train"], plan.counts["validation"]
    with _stage(f"fit: the tokenizer, on {train} train clips", seconds, say):
        tokenizer = _fit(job, plan)
    with _stage(f"encode: {train} + {validation} clips", seconds, say):
        results = _encode(job, plan, tokenizer.save(str(target.out)))
    outcome = Outcome(
        settings=settings, arguments=arguments, plan=plan, results=tuple(results)
    )
    info = write_outcome(outcome, target.out, tokenizer, text_encoder)
    target.finish()
    return Report(info=info, outcome=outcome, seconds=seconds)


@contextlib.contextmanager
def _stage(
    title: str, seconds: dict[str, float], say: Callable[[str], None]
) -> Iterator[None]:
    say(title)
    start = time.monotonic()
    yield
    seconds[title.split(":")[0]] = time.monotonic() - start


def _plan(job: Job, sources: Sequence[Source]) -> Plan:
    make = functools.partial(inspect_source.Inspector, job.settings)
    answers = map_items(sources, make, job.target.work / "inspect", job.runner)
    results = map(inspect_source.from_json, answers)
    return make_plan(results, job.settings.clips_per_shard)


def _fit(job: Job, plan: Plan):
    shards = [shard for shard in plan.shards if shard.split == "train"]
    return fit_tokenizer(shards, job.settings, job.target.work, job.runner)


def _encode(job: Job, plan: Plan, tokenizer_file: str) -> list[ShardResult]:
    out = job.target.out
    make = functools.partial(ShardEncoder, out, job.settings, tokenizer_file)
    answers = map_items(plan.shards, make, job.target.work / "encode", job.runner)
    return [ShardResult.from_json(answer) for answer in answers]
