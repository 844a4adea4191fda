"""Phase 7: clips -> latents, captions and text in shards, one bucket per shape.

plan      buckets, hold-out, rows of shards                     here
fit       each train shard: moments of pixels -> tokenizer      Beam, combined
encode    each shard: decode, tokenise, embed captions, write   Beam, one per shard

One row a clip: where in the dataset it is.
"""

import functools
import json
import pathlib

from data_pipelines.caption_clips import selected
from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.job import Job
from data_pipelines.plan import Plan, Shard, make_plan
from data_pipelines.shard import ShardEncoder, ShardResult, finished_shard
from data_pipelines.stages import fit_tokenizer, map_items
from data_pipelines.tables import Result, Row, Tables
from data_pipelines.target import Target
from data_pipelines.text import load_text_encoder
from data_pipelines.units import remove_parts
from data_pipelines.written import add_written
from videogen.core.errors import ConfigError, DataError
from videogen.data.manifest import load_dataset
from videogen.data.writer import write_file
from videogen.tokenizers import KINDS
from videogen.tokenizers.base import Tokenizer

COLUMNS = {
    "id": str,
    "bucket": str,
    "split": str,
    "shard": int,
    "row": int,
    "caption": str,
}


def run(job: Job) -> Result:
    """Encodes what was selected. Raises DataError when that is nothing."""
    sources = job.tables.read("ingest")
    clips = selected(job)
    plan, written = add_written(job, make_plan(sources, clips, job.settings))
    names = {source["id"]: source["name"] for source in sources}
    rejected = [
        job.rejected(
            {"id": row["id"], "name": names[row["source_id"]]},
            {"code": code, "reason": reason},
        )
        for row, code, reason in plan.rejected
    ]
    _check(plan, job, len(clips), rejected)
    load_text_encoder(job.settings.text_encoder, job.settings.text_length)
    if not job.parts.is_dir():  # nothing to resume from
        _clear(job)
    tokenizer = _tokenizer(job, plan)
    results = _encode(job, plan, tokenizer.save(str(job.out)))
    return Result(
        columns=COLUMNS,
        rows=[row for shard in plan.shards for row in _rows(shard)],
        rejected=rejected,
        given=len(clips),
        facts={
            "buckets": [_bucket_facts(bucket) for bucket in plan.buckets],
            "shards": [result.to_json() for result in results],
            "tokenizer": tokenizer.save(str(job.out)),
            **written,
        },
    )


def _clear(job: Job) -> None:
    """Makes room. What says that shards are there goes before they do."""
    target = Target(out=job.out)
    Tables(target.tables).remove(job.phase)
    remove_parts(target.tables, job.phase)
    target.clear()


def _bucket_facts(bucket) -> dict:
    return {
        "name": bucket.name,
        "num_frames": bucket.frames,
        "height": bucket.height,
        "width": bucket.width,
        "latent": list(bucket.latent),
    }


def _rows(shard: Shard) -> list[Row]:
    return [
        {
            "id": clip.id,
            "bucket": shard.bucket.name,
            "split": shard.split,
            "shard": shard.index,
            "row": row,
            "caption": clip.captions[0].text,
        }
        for row, clip in enumerate(shard.clips)
    ]


def _tokenizer(job: Job, plan: Plan) -> Tokenizer:
    """Another dataset's, or fitted on the train clips, perhaps by a run that was killed."""
    if job.settings.tokenizer_from:
        return take_tokenizer(job.settings)
    note = job.parts / "fitted.json"
    if note.is_file():
        return KINDS[job.settings.tokenizer].load(
            job.parts / json.loads(note.read_text())
        )
    job.parts.mkdir(parents=True, exist_ok=True)
    shards = [shard for shard in plan.shards if shard.split == "train"]
    runner, limits = job.engine.runner, job.engine.limits
    tokenizer = fit_tokenizer(shards, job.settings, job.parts, runner, limits)
    write_file(note, json.dumps(tokenizer.save(str(job.parts))).encode())
    return tokenizer


def take_tokenizer(settings: EncodeSettings) -> Tokenizer:
    """That of `tokenizer_from`. ConfigError if it is of another kind than asked for."""
    directory = pathlib.Path(settings.tokenizer_from)
    info = load_dataset(directory).tokenizer
    if (info.name, info.channels) != (settings.tokenizer, settings.channels):
        raise ConfigError(
            f"--tokenizer-from={directory} has a tokenizer {info.name} of {info.channels} "
            f"channels: --tokenizer={info.name} --channels={info.channels} would work"
        )
    return KINDS[info.name].load(directory / info.file)


def _encode(job: Job, plan: Plan, tokenizer_file: str) -> list[ShardResult]:
    """Of each shard in order; only those that are not there are made."""
    numbered = list(enumerate(plan.shards))
    missing = [item for item in numbered if _done(job, *item) is None]
    if missing:
        make = functools.partial(
            ShardEncoder,
            job.out,
            job.parts,
            job.settings,
            tokenizer_file,
            job.engine.limits,
        )
        map_items(missing, make, job.parts / "done", job.engine.runner)
    results = [_done(job, *item) for item in numbered]
    if None in results:
        raise DataError(f"{job.out}: a shard is gone as soon as it was written")
    return [result for result in results if result]


def _done(job: Job, number: int, shard: Shard) -> ShardResult | None:
    return finished_shard(job.parts, number, job.out / shard.bucket.name)


def _check(plan: Plan, job: Job, given: int, rejected) -> None:
    """DataError when no clip is left to train on."""
    if plan.clips("train"):
        return
    if validation := len(plan.clips("validation")):
        raise DataError(
            f"no clip is left to train on: of {given} clips {validation} are held out "
            f"for validation; longer videos, or a smaller --stride-seconds or "
            f"--max-seconds would work"
        )
    phases = ("ingest", "shots", "score", "dedup", "select")
    before = [item for phase in phases for item in job.tables.rejected(phase)]
    first = [*before, *rejected][0]
    raise DataError(
        f"no clip is left: {len(before) + len(rejected)} videos or clips were set aside "
        f"({job.tables.directory}/*.rejected.jsonl have the reasons); the first: "
        f"{first.name}: {first.code}: {first.reason}"
    )
