"""Latents made elsewhere become a dataset: `python -m data_pipelines import SRC DST ...`.

scan      each file: are its clips sound, what shape are they of     guarded, in units
plan      buckets, hold-out, rows of shards                          here
shards    each shard: read, undo the normalisation, write            Beam, one per shard
close     null text, manifests, quarantine, dataset.json last        here

<dataset>/.import/    what a killed run goes on from; then the table of clips and its receipt
"""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable, Sequence

from data_pipelines import quarantine
from data_pipelines.alone import WORK, alone
from data_pipelines.captioning.given import read_captions
from data_pipelines.exchange.import_close import close
from data_pipelines.exchange.import_image import find_image, select
from data_pipelines.exchange.import_plan import Shard, make_plan
from data_pipelines.exchange.import_settings import ImportSettings
from data_pipelines.exchange.import_shard import ShardImporter
from data_pipelines.exchange.import_text import ImportedText, find_text
from data_pipelines.exchange.scan import find_files, listing_sha256, scan_file
from data_pipelines.quarantine import Rejected
from data_pipelines.shard import ShardResult, finished_shard
from data_pipelines.stages import map_items
from data_pipelines.tables import Arguments, Result, Row, Tables
from data_pipelines.target import QUARANTINE, Target
from data_pipelines.text import check_files
from data_pipelines.units import Engine, part_directory, remove_parts, run_units
from videogen.core.errors import ConfigError, DataError
from videogen.data.manifest import DATASET, load_dataset
from videogen.data.schema import DatasetInfo
from videogen.data.writer import remove_unfinished, write_file

PHASE, TABLES = "import", ".import"
COLUMNS = {
    **{"id": str, "source_id": str, "name": str, "place": int, "star": str, "row": int},
    **{"frames": int, "height": int, "width": int, "fps": float, "start_s": float},
    **{"caption": str, "label": int, "split": str, "tokens": int, "text_dim": int},
    **{"image_tokens": int, "image_dim": int},
}


def import_latents(
    settings: ImportSettings,
    out: pathlib.Path,
    *,
    engine: Engine | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> DatasetInfo:
    """Makes the dataset, or finds it made. Raises ConfigError or DataError."""
    engine = engine or Engine()
    names = find_files(settings)
    arguments = _arguments(settings, names)
    check_place(out, overwrite=overwrite)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror}") from error
    with alone(out):
        tables = Tables(out / TABLES)
        receipt = tables.current(PHASE, arguments, {}, overwrite=overwrite)
        if receipt and (out / DATASET).is_file():
            remove_parts(tables.directory, PHASE)
            say("imported already")
            return load_dataset(out)
        parts = part_directory(tables.directory, PHASE, arguments, {})
        if not parts.is_dir():  # nothing to resume from
            tables.remove(PHASE)
            remove_parts(tables.directory, PHASE)
            Target(out=out).clear()
        if not settings.is_stated_text:
            check_files(settings.text_encoder)
        say(f"scan: {len(names)} files")
        rows, rejected = _scan(settings, names, parts, engine)
        _check(settings, rows, rejected)
        text = find_text(settings, rows)
        rows, odd = text.select(rows)
        image = find_image(settings, rows)
        rows, odder = select(image, rows)
        rejected += odd + odder
        shards = make_plan(rows, settings, settings.open_vae().channels)
        if not any(shard.split == "train" for shard in shards):
            raise DataError(
                f"{settings.source}: all {len(rows)} clips are held out: a smaller "
                f"--validation-share would work"
            )
        say(f"shards: {len(shards)} of {len(rows)} clips")
        results = _write(settings, out, parts, shards, text, engine)
        lines = quarantine.to_lines(rejected).encode()
        write_file(out / QUARANTINE, lines)
        given = len(rows) + len(rejected)
        result = Result(columns=COLUMNS, rows=rows, rejected=rejected, given=given)
        tables.write(PHASE, result, arguments, {})
        remove_unfinished(tables.directory)
        info = close(settings, out, shards, results, text, image, arguments, rejected)
        remove_parts(tables.directory, PHASE)
    say(f"{len(rows)} clips of {len(names)} files, {len(rejected)} set aside")
    return info


def check_place(out: pathlib.Path, *, overwrite: bool) -> None:
    """Whether a dataset may be written there; DataError for files of others."""
    there = {path.name for path in out.iterdir()} - {WORK} if out.is_dir() else set()
    if not there or TABLES in there:
        return
    if DATASET not in there:
        raise DataError(
            f"{out} holds files, but no dataset: a new or empty directory would work"
        )
    load_dataset(out)
    if not overwrite:
        raise ConfigError(
            f"{out} already holds a dataset, made otherwise: give another directory, or "
            f"--overwrite to replace it"
        )


def _arguments(settings: ImportSettings, names: list[str]) -> Arguments:
    """What the dataset is a function of, as far as that can be seen from outside."""
    arguments: Arguments = dataclasses.asdict(settings)
    # What is off makes no dataset another that was made before it was there.
    for name in ("image_key", "image_encoder"):
        if not arguments[name]:
            del arguments[name]
    arguments["source"] = str(pathlib.Path(settings.source).resolve())
    arguments["files"] = listing_sha256(settings.source, names)
    beside = {
        "captions": pathlib.Path(settings.captions),
        "null_text": pathlib.Path(settings.null_text),
        "tokenizer_from": pathlib.Path(settings.tokenizer_from, DATASET),
    }
    for flag, file in beside.items():
        if arguments[flag] and file.is_file():  # else its reader tells
            sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
            arguments[flag] = f"{arguments[flag]} of sha256 {sha256}"
    return arguments


def _scan(
    settings: ImportSettings, names: list[str], parts: pathlib.Path, engine: Engine
) -> tuple[list[Row], list[Rejected]]:
    """(rows of sound clips, the others), in the order of the files."""
    work = functools.partial(scan_file, settings)
    answers = run_units(names, work, parts / "scan", engine)
    captions = read_captions("captions", settings.captions) if settings.captions else {}
    rows: dict[str, Row] = {}
    rejected = []
    for name, answer in zip(names, answers, strict=True):
        for row in answer.get("rows", [{"id": name, **answer}]):
            if row.get("code") is None and row["id"] in rows:
                reason = f"clip {row['id']} was in {rows[row['id']]['name']} before"
                row = {"id": row["id"], "code": "DUPLICATE", "reason": reason}
            if code := row.get("code"):
                reason = row["reason"]
                rejected.append(
                    Rejected(
                        phase=PHASE, id=row["id"], name=name, code=code, reason=reason
                    )
                )
            else:
                caption = captions.get(row["id"], row["caption"])
                rows[row["id"]] = row | {"caption": caption or None}
    return list(rows.values()), rejected


def _check(
    settings: ImportSettings, rows: Sequence[Row], rejected: Sequence[Rejected]
) -> None:
    """DataError when there is nothing to write."""
    if not rows:
        first = rejected[0]
        raise DataError(
            f"{settings.source}: none of {len(rejected)} clips can be used; the first: "
            f"{first.id} of {first.name}: {first.code}: {first.reason}"
        )


def _write(
    settings: ImportSettings,
    out: pathlib.Path,
    parts: pathlib.Path,
    shards: Sequence[Shard],
    text: ImportedText,
    engine: Engine,
) -> list[ShardResult]:
    """Of each shard in order; only those that are not there are made."""
    parts = parts / "shards"

    def done(number: int, shard: Shard) -> ShardResult | None:
        return finished_shard(parts, number, out / shard.bucket.name)

    numbered = list(enumerate(shards))
    if missing := [item for item in numbered if done(*item) is None]:
        make = functools.partial(ShardImporter, out, parts, settings, text.length)
        map_items(missing, make, parts / "done", engine.runner)
    results = [done(*item) for item in numbered]
    if None in results:
        raise DataError(f"{out}: a shard is gone as soon as it was written")
    return [result for result in results if result]
