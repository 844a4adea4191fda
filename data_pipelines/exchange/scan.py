"""Files of latents -> a row for each clip, once all its numbers were looked at.

Runs guarded, a file at a time. What is wrong with one clip is a row of its own, with a code;
so is a file that ends early: the clips before its end stay.
"""

import functools
import hashlib
import json
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from data_pipelines.captions import MOST_LABEL, NO_LABEL
from data_pipelines.exchange.clips import Clip, Constants, find_clips
from data_pipelines.exchange.formats import FORMATS
from data_pipelines.exchange.import_settings import ImportSettings
from data_pipelines.exchange.record import Fault, Record
from data_pipelines.places import refused
from data_pipelines.quarantine import RETRYABLE, Reject
from data_pipelines.tables import Row
from videogen.core.errors import DataError
from videogen.data.schema import SPLITS

# What a file or the JSON beside it may say of its clips, and the type it is of.
FACTS: dict[str, type] = {
    **{"id": str, "source_id": str, "caption": str, "split": str},
    **{"label": int, "fps": float, "start_s": float},
}
SIDECARS = (".json", ".txt")


def find_files(settings: ImportSettings) -> list[str]:
    """Names of the source's files of that format, sorted. DataError: none."""
    folder = pathlib.Path(settings.source)
    suffixes = FORMATS[settings.format].suffixes
    if not folder.is_dir():
        raise DataError(
            f"{folder} is no folder: one of {', '.join(suffixes)} would work"
        )
    found = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )
    if not found:
        raise DataError(f"{folder} holds no file that ends in {', '.join(suffixes)}")
    return found


def listing_sha256(folder: str, names: list[str]) -> str:
    """Of the files' names and sizes, and of the text beside them."""
    digest = hashlib.sha256()
    for name in names:
        path = pathlib.Path(folder, name)
        text = b"".join(
            beside.read_bytes()
            for suffix in SIDECARS
            if (beside := path.with_suffix(suffix)).is_file()
        )
        digest.update(
            os.fsencode(f"{name}\0{path.stat().st_size}\0{len(text)}\0") + text
        )
    return digest.hexdigest()


def scan_file(settings: ImportSettings, name: str) -> Iterator[Row]:
    """A row for each clip: {"id", ...}, or {"id", "code", "reason"}."""
    path = pathlib.Path(settings.source, name)
    constants, keys = settings.constants(), settings.keys
    many = settings.format in ("tfrecord", "fastvideo")
    id = name.removesuffix(path.suffix)
    row = functools.partial(_clip_row, settings, name, constants)
    try:
        _check_name(name)
        beside = _sidecar(path)
        for record in FORMATS[settings.format].read(str(path), None):
            own = f"{id}#{record.place}" if many else id
            if isinstance(record, Fault):
                yield _rejected(own, record.reject)
                continue
            try:
                for clip in find_clips(record, keys):
                    yield row(own, clip, _facts(settings, record, beside))
            except Reject as reject:
                yield _rejected(own, reject)
    except OSError as error:
        raise refused("UNREADABLE", error) from error
    except Reject as reject:
        if reject.code in RETRYABLE:
            raise
        yield _rejected(id, reject)


def _check_name(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise Reject("BAD_NAME", "its path is not UTF-8") from None


def _clip_row(
    settings: ImportSettings,
    name: str,
    constants: Constants | None,
    id: str,
    clip: Clip,
    facts: dict[str, Any],
) -> Row:
    """What the plan needs of a clip."""
    parts = [id, clip.star, str(clip.row) if clip.rows > 1 else ""]
    own = "#".join(part for part in parts if part)
    if clip.star or clip.rows > 1:
        facts.pop("id", None)  # it is of the file
    try:
        latent_FHWC = clip.latent_FHWC(constants)
        logvar_FHWC = clip.logvar_FHWC(constants)
        if logvar_FHWC is not None and logvar_FHWC.shape != latent_FHWC.shape:
            raise Reject("BAD_TENSOR", f"{settings.logvar_key} of another shape")
        text_LD, image_LD = clip.text_LD(), clip.image_LD()
        fps = facts.get("fps") or settings.fps
        if not 0 < fps <= 1000:
            raise Reject("BAD_SIDECAR", "no frame rate is said of it: --fps would work")
    except Reject as reject:
        return _rejected(own, reject)
    folder = pathlib.PurePosixPath(name).parts[0]
    return {
        "id": facts.get("id") or own,
        "source_id": facts.get("source_id") or id,
        "name": name,
        **{"place": clip.record.place, "star": clip.star, "row": clip.row},
        **dict(zip(("frames", "height", "width"), latent_FHWC.shape[:3], strict=True)),
        "fps": fps,
        "start_s": facts.get("start_s", 0.0),
        "caption": facts.get("caption"),
        "label": facts.get("label", NO_LABEL),
        "split": facts.get("split") or (folder if folder in SPLITS else None),
        "tokens": None if text_LD is None else text_LD.shape[0],
        "text_dim": None if text_LD is None else text_LD.shape[1],
        "image_tokens": None if image_LD is None else image_LD.shape[0],
        "image_dim": None if image_LD is None else image_LD.shape[1],
    }


def _rejected(id: str, reject: Reject) -> Row:
    return {"id": id, "code": reject.code, "reason": reject.reason}


def _facts(
    settings: ImportSettings, record: Record, beside: dict[str, Any]
) -> dict[str, Any]:
    """Those of FACTS that the record says, or the file beside it, which is nearer to people."""
    said = {**record.facts, **beside}
    said["caption"] = said.get(settings.caption_key, said.get("caption"))
    facts = {
        name: _fact(name, x) for name in FACTS if (x := said.get(name)) is not None
    }
    if facts.get("split", SPLITS[0]) not in SPLITS:
        raise Reject("BAD_SIDECAR", f"split={facts['split']!r:.80}: one of {SPLITS}")
    return facts


def _fact(name: str, value: Any) -> Any:
    """The value as its type; Reject(BAD_SIDECAR) unless a record can hold it."""
    kind = FACTS[name]
    try:
        if kind is str and isinstance(value, str):
            value.encode()  # JSON may hold half a character
            return value.strip()
        if kind is float and math.isfinite(number := float(value)):
            return number
        if kind is int and NO_LABEL <= (number := int(value)) <= MOST_LABEL:
            return number
    except (TypeError, ValueError, OverflowError):
        pass
    raise Reject("BAD_SIDECAR", f"{name}={value!r:.80} is no {kind.__name__} of use")


def _sidecar(path: pathlib.Path) -> dict[str, Any]:
    """Of name.json or name.txt beside the file; other keys than FACTS are not read."""
    for suffix in SIDECARS:
        beside = path.with_suffix(suffix)
        if beside.is_file():
            try:
                text = beside.read_text(encoding="utf-8")
                said = {"caption": text} if suffix == ".txt" else json.loads(text)
            except (ValueError, RecursionError) as error:
                raise Reject("BAD_SIDECAR", f"{beside.name}: {error}") from error
            if not isinstance(said, dict):
                raise Reject("BAD_SIDECAR", f"{beside.name} is no JSON object")
            return said
    return {}
