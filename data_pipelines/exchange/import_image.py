"""Image tokens of imported clips' first frames, which came along with the latents."""

import hashlib
from collections import Counter
from collections.abc import Sequence

from data_pipelines.exchange.import_settings import ImportSettings
from data_pipelines.exchange.import_text import set_aside
from data_pipelines.facts import image_facts
from data_pipelines.quarantine import Rejected
from data_pipelines.tables import Row
from videogen.core.errors import ConfigError
from videogen.data.schema import ImageInfo
from videogen.image import make_encoder


def find_image(settings: ImportSettings, rows: Sequence[Row]) -> ImageInfo | None:
    """What made them; None: there are none. ConfigError or DataError for another encoder."""
    if not settings.image_key:
        return None
    shapes = Counter(map(_shape, rows))
    length, dim = shapes.most_common(1)[0][0]
    kind, _, folder = settings.image_encoder.partition(":")
    if not folder:
        said = f"stated 1 {kind} {length} {dim}".encode()
        fingerprint = hashlib.sha256(said).hexdigest()
        return ImageInfo(name=kind, fingerprint=fingerprint, length=length, dim=dim)
    info = image_facts(make_encoder(settings.image_encoder))
    if (info.length, info.dim) != (length, dim):
        raise ConfigError(
            f"--image-encoder={settings.image_encoder} gives {info.length} x {info.dim}, but "
            f"{settings.image_key} is {length} x {dim}: the encoder that made it would work"
        )
    return info


def select(
    info: ImageInfo | None, rows: Sequence[Row]
) -> tuple[list[Row], list[Rejected]]:
    """(rows whose image tokens are of that shape, the others)."""
    if info is None:
        return list(rows), []

    def fault(row: Row) -> str:
        own, want = _shape(row), (info.length, info.dim)
        return f"image tokens of {own}, where others have {want}" * (own != want)

    return set_aside(rows, fault)


def _shape(row: Row) -> tuple[int, int]:
    return row["image_tokens"], row["image_dim"]
