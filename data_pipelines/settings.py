"""What each phase may be told: the arguments that decide its table's bytes.

Those of encode are in encode_settings.py: they know tokenizers, hence JAX, which a
process that only decodes must not load.
"""

import dataclasses
import hashlib
import importlib.util
import math
import pathlib

from data_pipelines import where
from data_pipelines.detectors import DETECTORS, Kind
from videogen.core.errors import ConfigError, suggest

LEAST_STRIDE_S = 0.001  # containers round times to milliseconds
# Wide: what hardly anybody wants.
DEFAULT_WHERE = (
    "0.1 <= motion <= 30 and 16 <= luma <= 235 and blur >= 10 and borders <= 0.2 "
    "and bits_per_pixel >= 0.01"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class IngestSettings:
    """Which videos; what is empty is as usual, and only said where it has a meaning."""

    videos: str  # a folder, .csv, .parquet, .tar, "tfds:..." or "quickstart"
    video_field: str = ""
    caption_field: str = ""
    split: str = ""
    data_dir: str = ""
    frames_fps: float = 0.0

    def __post_init__(self):
        check_at_least(self, "frames_fps", 0)

    def only(self, *names: str) -> None:
        """Raises ConfigError when another field is set: these videos have no use for it."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value and field.name not in ("videos", *names):
                who = self.videos or "what has no --videos"
                raise ConfigError(
                    f"{flag(field.name)}={value}: {who} has no use for it: leave it out"
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShotsSettings:
    """How shots are found, and how long clips are: seconds from first to last frame."""

    detector: str = "content"  # or with its weights, "transnetv2:/path/of/them"
    shot_threshold: float = 0.0  # 0: the detector's own
    min_seconds: float = 0.6667  # 17 frames at 24 per second
    max_seconds: float = 0.6667
    stride_seconds: float = 0.0  # from start to start; 0: one after the other

    def __post_init__(self):
        check_known("detector", self.detector.partition(":")[0], DETECTORS)
        self.weights()
        if not self.shot_threshold < self.kind.most:
            raise ConfigError(
                f"--shot-threshold={self.shot_threshold}: less than {self.kind.most:g} "
                f"would work for {self.detector}"
            )
        for name in ("shot_threshold", "min_seconds", "stride_seconds"):
            check_at_least(self, name, 0)
        if 0 < self.stride_seconds < LEAST_STRIDE_S:
            raise ConfigError(
                f"--stride-seconds={self.stride_seconds}: 0, or at least {LEAST_STRIDE_S}, "
                f"would work"
            )
        if not self.min_seconds <= self.max_seconds < math.inf:
            raise ConfigError(
                f"--max-seconds={self.max_seconds}: at least --min-seconds="
                f"{self.min_seconds} would work"
            )

    @property
    def kind(self) -> Kind:
        return DETECTORS[self.detector.partition(":")[0]]

    @property
    def threshold(self) -> float:
        return self.shot_threshold or self.kind.threshold

    def weights(self) -> pathlib.Path | None:
        """The detector's, if it has any. ConfigError when they are not there."""
        return self.kind.weights(self.detector.partition(":")[2])

    def files(self) -> dict[str, object]:
        """What decides the table besides the fields."""
        weights = self.weights()
        return {"detector_weights": _sha256(weights)} if weights else {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreSettings:
    """What is measured besides what always is."""

    text_area: bool = False
    scorers: str = ""  # name=module:function,...

    def __post_init__(self):
        self.named_scorers()
        if self.text_area and importlib.util.find_spec("rapidocr") is None:
            raise ConfigError(
                "--text-area needs RapidOCR: `pip install 'videogen[ocr]'`, or leave it out"
            )

    def named_scorers(self) -> dict[str, str]:
        """{column: module:function}."""
        parts = [part for part in self.scorers.split(",") if part]
        for part in parts:
            name, _, function = part.partition("=")
            if not name.isidentifier() or ":" not in function:
                raise ConfigError(
                    f"--scorers={part!r}: name=module:function would work"
                )
        return dict(part.split("=", 1) for part in parts)

    def files(self) -> dict[str, object]:
        """What decides the table besides the fields: the sources of named scorers."""
        places = {entry.rpartition(":")[0] for entry in self.named_scorers().values()}
        found = {place: _source(place) for place in sorted(places)}
        sources = {place: _sha256(file) for place, file in found.items() if file}
        return {"scorer_files": sources} if sources else {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DedupSettings:
    """How unlike near duplicates may be."""

    max_distance: int = 90  # bits of 512; unrelated clips differ in about 240

    def __post_init__(self):
        check_at_least(self, "max_distance", 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelectSettings:
    """Which clips stay."""

    where: str = DEFAULT_WHERE

    def __post_init__(self):
        where.parse(self.where)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinaliseSettings:
    """Nothing: what is encoded decides all."""


def _source(place: str) -> pathlib.Path | None:
    """The file of `path/to/file.py` or of a module, if there is one to read."""
    if not place.endswith(".py"):
        try:
            spec = importlib.util.find_spec(place)
        except Exception:  # of a package that is not ours; loading the scorer tells
            return None
        place = (spec and spec.origin) or ""
    return pathlib.Path(place) if pathlib.Path(place).is_file() else None


def _sha256(file: pathlib.Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def flag(name: str) -> str:
    """A field's name as it is typed."""
    return f"--{name.replace('_', '-')}"


def check_known(name: str, value: str, names) -> None:
    if value not in names:
        raise ConfigError(
            f"{flag(name)}={value!r} cannot be used here{suggest(value, names)}"
        )


def check_at_least(settings, name: str, least: float) -> None:
    if not getattr(settings, name) >= least:
        raise ConfigError(
            f"{flag(name)}={getattr(settings, name)}: at least {least} would work"
        )
