"""What a network is told of first frames: image tokens of the dataset's clips, and of files."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from videogen import image
from videogen.build import Settings
from videogen.core.errors import ConfigError
from videogen.data.records import BFLOAT16
from videogen.data.schema import ImageInfo, TextInfo
from videogen.data.source import Dataset
from videogen.eval.sampling import SampleConfig
from videogen.image.base import ImageEncoder
from videogen.text.base import TextEncoder


@dataclasses.dataclass(frozen=True, kw_only=True)
class Images:
    """The image version that a run reads. here: the name of its encoder, for samples."""

    version: str
    info: ImageInfo
    directory: Path  # of the dataset
    here: str

    @property
    def identity(self) -> str:
        """What a resumed run must find unchanged."""
        return f"{self.info.name} {self.info.fingerprint[:16]}"

    def encode(self, frames_BHWC: np.ndarray) -> np.ndarray:
        """image_BLX of uint8 frames, as a dataset holds it. ConfigError as `open_encoder`."""
        key = frames_BHWC.tobytes()
        if key not in self._encoded:
            image_BLX = self.open_encoder().encode(list(frames_BHWC))
            self._encoded[key] = image_BLX.astype(BFLOAT16)
        return self._encoded[key]

    def open_encoder(self) -> ImageEncoder:
        """The dataset's image encoder. ConfigError when there is none here, or another."""
        if not self.here:
            raise ConfigError(
                "config.data.image_encoder='': samples are told of a first frame by what "
                f"encoded those of {self.directory}: --config.data.image_encoder="
                f"{self.info.name}:/path/of/it would work"
            )
        encoder = image.make_encoder(self.here)
        check_same("image", self.info, encoder, self.directory)
        return encoder

    @functools.cached_property
    def _encoded(self) -> dict[bytes, np.ndarray]:
        """Tokens by the frames. The encoder would fill devices that train."""
        return {}


def open_images(settings: Settings, dataset: Dataset) -> Images | None:
    """The image tokens that the network is told; None: it is not told of any image.

    ConfigError when the dataset lacks what it must be told, or has it of another size.
    """
    config, model, info = settings.data, settings.model, dataset.info
    dim, version = getattr(model, "image_dim", 0), config.image_version
    if not dim or not ("image_BLX" in model.needs or settings.tasks.gives_first):
        return None
    if config.row_tokens:
        raise ConfigError(
            f"config.model.image_dim={dim}: images cannot be packed: data.row_tokens=0 "
            "would work"
        )
    found = info.image.get(version)
    if found is None:
        others = f" (it has: {', '.join(sorted(info.image))})" if info.image else ""
        raise ConfigError(
            f"config.model.image_dim={dim} is told of first frames by image tokens, and "
            f"{config.path} has none called {version}{others}: `python -m data_pipelines "
            f"add-image {config.path} --version={version} --image-encoder=KIND:FOLDER` makes "
            "them, or --config.model.image_dim=0 would work"
        )
    if found.dim != dim:
        raise ConfigError(
            f"config.model.image_dim={dim}, but image {version} of {config.path} "
            f"({found.name}) has dim {found.dim}"
        )
    if kind := config.image_encoder.partition(":")[0]:
        check_kind("data.image_encoder", kind, found.name, config.path)
    return Images(
        version=version,
        info=found,
        directory=dataset.directory,
        here=config.image_encoder,
    )


def check_mixed_images(images: Images | None, other: Dataset) -> None:
    """ConfigError when a further dataset's images are not there, or by another encoder."""
    if images is not None and other.info.image.get(images.version) != images.info:
        raise ConfigError(
            f"config.data.mix: {other.directory} has no image tokens {images.version} by "
            f"{images.info.name} ({images.info.fingerprint[:8]}), as {images.directory} has: "
            f"add-image --version={images.version} with the same encoder would work"
        )


def check_shown(
    settings: Settings, sample: SampleConfig, given: Mapping[str, object]
) -> None:
    """ConfigError for samples without an image, of a network that is always told one."""
    if "image_BLX" in settings.model.needs and "image_BLX" not in given:
        raise ConfigError(
            f"config.sample.task={sample.task!r} gives no first frame, and config.model."
            f"image_dim={settings.model.image_dim} is always told of one: sample.task='i2v' "
            "with sample.given=('FILE', ...) would work; train.sample_every=0 samples nothing"
        )


def check_same(
    what: str,
    info: TextInfo | ImageInfo,
    encoder: TextEncoder | ImageEncoder,
    directory: Path,
) -> None:
    """ConfigError when an encoder here is not the one of the dataset."""
    if encoder.fingerprint != info.fingerprint:
        raise ConfigError(
            f"{what} encoder {info.name} here ({encoder.fingerprint[:8]}) is not the "
            f"one that encoded {directory} ({info.fingerprint[:8]}): "
            "install the same weights, or encode the dataset again"
        )


def check_kind(field: str, wanted: str, found: str, path: str) -> None:
    """ConfigError when the dataset was made by something else than the config says."""
    if wanted != found:
        raise ConfigError(
            f"config.{field}={wanted!r}, but {path} was made with {found!r}: encode it "
            f"again, or set --config.{field}={found}"
        )
