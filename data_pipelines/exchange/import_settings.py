"""What `import` may be told: where the latents are, and what they mean."""

import dataclasses

from data_pipelines.exchange.clips import CHANNELS_LAST, Constants, Keys
from data_pipelines.exchange.formats import FORMATS
from data_pipelines.exchange.vae import Vae
from data_pipelines.settings import check_at_least, check_known, flag
from data_pipelines.text import check_name
from videogen.core.errors import ConfigError
from videogen.image import check_encoder
from videogen.text import ENCODERS, FOLDERS, OFFLINE

DEFAULT_LENGTH = 32  # tokens of captions that are embedded here


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """The source, its tensors' names, its tokenizer and its encoders."""

    source: str
    format: str
    normalised: str  # "yes": the source holds (latent - mean) / std
    vae: str = ""
    strides: str = ""
    channels: int = 0
    mean: str = ""
    std: str = ""
    tokenizer_from: str = ""
    fps: float = 0.0  # of clips that do not say it themselves
    latents_key: str = ""
    logvar_key: str = ""
    layout: str = "CFHW"
    text_key: str = ""
    text_mask_key: str = ""
    text_encoder: str = "minilm"
    text_length: int = 0
    null_text: str = ""
    image_key: str = ""
    image_encoder: str = ""
    captions: str = ""
    caption_key: str = "caption"
    validation_share: float = 0.02
    shard_mib: float = 768.0

    def __post_init__(self):
        check_known("format", self.format, FORMATS)
        check_known("normalised", self.normalised, ("yes", "no"))
        for name in ("channels", "text_length"):
            check_at_least(self, name, 0)
        if sorted(self.layout) != sorted(CHANNELS_LAST):
            raise ConfigError(
                f"--layout={self.layout!r}: the letters C, F, H and W in the order of a "
                f"clip's dims, as CFHW, would work"
            )
        if not self.shard_mib > 0:
            raise ConfigError(f"--shard-mib={self.shard_mib}: more than 0 would work")
        if not 0 <= self.validation_share < 1:
            raise ConfigError(
                f"--validation-share={self.validation_share}: 0, or less than 1, would work"
            )
        if not 0 <= self.fps <= 1000:
            raise ConfigError(f"--fps={self.fps}: more than 0, at most 1000 would work")
        for name in (
            *("latents_key", "text_key", "text_mask_key", "logvar_key", "image_key"),
        ):
            if getattr(self, name).count("*") > 1:
                key = getattr(self, name)
                raise ConfigError(f"{flag(name)}={key!r}: one star at most would work")
        self._check_vae()
        self._check_encoders()

    @property
    def keys(self) -> Keys:
        return Keys(
            latents=self.latents_key or FORMATS[self.format].latents,
            channels=self.open_vae().channels,
            text=self.text_key,
            text_mask=self.text_mask_key,
            logvar=self.logvar_key,
            image=self.image_key,
            layout=self.layout,
        )

    def open_vae(self) -> Vae:
        """Raises ConfigError, or DataError of the dataset it is taken from."""
        if self.tokenizer_from:
            return Vae.of_dataset(self.tokenizer_from)
        return Vae.of(self.vae, self.strides, self.channels, self.mean, self.std)

    def constants(self) -> Constants | None:
        """What undoes the source's normalisation; None: there is none."""
        return self.open_vae().constants if self.normalised == "yes" else None

    @property
    def is_stated_text(self) -> bool:
        """Whether the encoder of the source's text is a name, and none that runs here."""
        kind, _, folder = self.text_encoder.partition(":")
        here = kind in (*ENCODERS, OFFLINE) or (kind in FOLDERS and folder)
        return bool(self.text_key) and not here

    def _check_vae(self) -> None:
        for name in ("vae", "strides", "channels", "mean", "std"):
            if self.tokenizer_from and getattr(self, name):
                raise ConfigError(
                    f"--{name} and --tokenizer-from both say what made the latents; leave "
                    f"one out"
                )
        vae = self.open_vae()
        if self.normalised == "yes":
            _ = vae.constants

    def _check_encoders(self) -> None:
        if not self.is_stated_text:
            check_name(self.text_encoder)
        if self.text_mask_key and not self.text_key:
            raise ConfigError("--text-mask-key goes with --text-key")
        if bool(self.image_key) != bool(self.image_encoder):
            raise ConfigError("--image-key and --image-encoder go together")
        if ":" in self.image_encoder:
            check_encoder(self.image_encoder)
        if self.null_text and not self.is_stated_text:
            raise ConfigError(
                f"--null-text goes with a --text-encoder that does not run here: "
                f"{self.text_encoder} embeds the empty text itself"
            )
