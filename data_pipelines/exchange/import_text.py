"""The text of imported clips: embedded here of their captions, or come along with them."""

import dataclasses
import hashlib
import pathlib
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from data_pipelines.exchange.clips import pick
from data_pipelines.exchange.formats import FORMATS
from data_pipelines.exchange.import_settings import DEFAULT_LENGTH, ImportSettings
from data_pipelines.exchange.record import Record
from data_pipelines.facts import text_facts
from data_pipelines.quarantine import Reject, Rejected
from data_pipelines.shard import version
from data_pipelines.tables import Row
from data_pipelines.text import embed, load_text_encoder
from videogen.core.errors import ConfigError, DataError
from videogen.data.null_text import write_null_text
from videogen.data.schema import TextInfo


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ImportedText:
    """Whose text it is, its sizes, and the embedding of no text."""

    name: str
    fingerprint: str
    length: int
    dim: int
    null_LD: np.ndarray
    along: bool  # it came with the latents

    def select(self, rows: Sequence[Row]) -> tuple[list[Row], list[Rejected]]:
        """(rows whose text is of that width, the others)."""

        def fault(row: Row) -> str:
            odd = self.along and row["text_dim"] != self.dim
            return (
                f"text of width {row['text_dim']}, where others have {self.dim}" * odd
            )

        return set_aside(rows, fault)

    def write(self, out: pathlib.Path) -> TextInfo:
        """Its null text, and what dataset.json says of it."""
        return text_facts(self, write_null_text(out, version(0), self.null_LD))  # type: ignore[arg-type]


def set_aside(
    rows: Sequence[Row], fault: Callable[[Row], str]
) -> tuple[list[Row], list[Rejected]]:
    """(rows without a fault, the others with theirs)."""
    faults = {row["id"]: fault(row) for row in rows}
    rejected = [
        Rejected(
            phase="import",
            id=row["id"],
            name=row["name"],
            code="BAD_TENSOR",
            reason=faults[row["id"]],
        )
        for row in rows
        if faults[row["id"]]
    ]
    return [row for row in rows if not faults[row["id"]]], rejected


def find_text(settings: ImportSettings, rows: Sequence[Row]) -> ImportedText:
    """Raises ConfigError or DataError for an encoder or a null text that cannot be used."""
    along = bool(settings.text_key)
    longest = max((row["tokens"] or 0 for row in rows), default=0)
    length = settings.text_length or (max(longest, 1) if along else DEFAULT_LENGTH)
    widths = Counter(row["text_dim"] for row in rows if row["text_dim"])
    dim = widths.most_common(1)[0][0] if widths else 1
    if not settings.is_stated_text:
        encoder = load_text_encoder(settings.text_encoder, length)
        if along and widths and encoder.dim != dim:
            raise ConfigError(
                f"--text-encoder={settings.text_encoder} has dim {encoder.dim}, but "
                f"{settings.text_key} has {dim}: the encoder that made it would work"
            )
        return ImportedText(
            name=encoder.name,
            fingerprint=encoder.fingerprint,
            length=length,
            dim=encoder.dim,
            null_LD=embed(encoder, [""])[0],
            along=along,
        )
    name = settings.text_encoder.partition(":")[0]
    null_LD = _null_text(settings, dim)
    said = f"stated 1 {name} {length} {dim} {hashlib.sha256(null_LD.tobytes()).hexdigest()}"
    return ImportedText(
        name=name,
        fingerprint=hashlib.sha256(said.encode()).hexdigest(),
        length=length,
        dim=dim,
        null_LD=null_LD,
        along=True,
    )


def _null_text(settings: ImportSettings, dim: int) -> np.ndarray:
    """Of the file; without one, a token of zeros."""
    if not settings.null_text:
        return np.zeros((1, dim), np.float32)
    path = pathlib.Path(settings.null_text)
    kinds = [f for f in FORMATS.values() if path.suffix in f.suffixes]
    try:
        if not kinds:
            raise Reject("UNREADABLE", "a .safetensors or .pt file would work")
        (record,) = kinds[0].read(str(path), None)
        assert isinstance(record, Record)
        (key,) = (
            [settings.text_key]
            if settings.text_key in record.tensors
            else record.tensors
        )
        rank = len(pick(record, key).shape)
        text_LD = pick(record, key).values.astype(np.float32)
        text_LD = text_LD[0] if rank == 3 else text_LD
    except (OSError, ValueError, Reject) as error:
        raise DataError(f"--null-text={path}: {error}") from error
    if text_LD.ndim != 2 or text_LD.shape[1] != dim or not np.isfinite(text_LD).all():
        raise DataError(
            f"--null-text={path}: {text_LD.shape}: (tokens, {dim}) would work"
        )
    return text_LD[: np.flatnonzero(text_LD.any(axis=1)).max(initial=0) + 1]
