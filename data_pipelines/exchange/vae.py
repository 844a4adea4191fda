"""What was said of the tokenizer of latents that were made elsewhere."""

import dataclasses
import pathlib

from data_pipelines.exchange.clips import Constants
from data_pipelines.moments import Moments
from videogen.core.errors import ConfigError, suggest
from videogen.data.manifest import load_dataset
from videogen.data.schema import TokenizerInfo
from videogen.data.writer import write_file
from videogen.tokenizers import KINDS
from videogen.tokenizers.published import PUBLISHED, Published
from videogen.tokenizers.stated import NO_FILE, stated_fingerprint

Numbers = tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vae:
    """A tokenizer by name. mean, std: of each channel; (): to be measured."""

    name: str
    strides: tuple[int, int, int]
    channels: int
    mean: Numbers = ()
    std: Numbers = ()
    taken: TokenizerInfo | None = None  # of the dataset it was taken from

    @classmethod
    def of(cls, name: str, strides: str, channels: int, mean: str, std: str) -> "Vae":
        """By the flags; what is published need not be said. Raises ConfigError."""
        known = PUBLISHED.get(name)
        if name in KINDS or not name:
            problem = "is a tokenizer of ours" if name else "is required"
            raise ConfigError(
                f"--vae={name} {problem}: the name of the autoencoder that made the latents "
                f"({', '.join(PUBLISHED)}, or another with --strides and --channels), or "
                f"--tokenizer-from=DATASET, would work"
            )
        if known is None and not (strides and channels):
            raise ConfigError(
                f"--vae={name} is not known here{suggest(name, PUBLISHED)}: --strides and "
                f"--channels say what it is"
            )
        known = known or Published(strides=_strides(strides), channels=channels)
        count = channels or known.channels
        means = _numbers("mean", mean) or known.mean
        stds = _numbers("std", std) or known.std
        if mean and not stds:
            raise ConfigError(f"--mean={mean} goes with --std")
        if any(not value > 0 for value in stds):
            raise ConfigError(f"--std={std}: numbers above 0 would work")
        return cls(
            name=name,
            strides=_strides(strides) if strides else known.strides,
            channels=count,
            mean=_each("mean", means, count) if stds else (),
            std=_each("std", stds, count),
        )

    @classmethod
    def of_dataset(cls, directory: str) -> "Vae":
        """That of another dataset, with its weights if it has them."""
        info = load_dataset(directory).tokenizer
        return cls(
            name=info.name,
            strides=info.strides,
            channels=info.channels,
            mean=info.mean,
            std=info.std,
            taken=info,
        )

    @property
    def constants(self) -> Constants:
        """ConfigError when none are known."""
        if not self.std:
            raise ConfigError(
                f"--normalised=yes: the constants of {self.name} are not known here: --std "
                f"and perhaps --mean, one number or one a channel, would work"
            )
        return Constants(mean=self.mean, std=self.std)

    def info(self, moments: Moments) -> TokenizerInfo:
        """For dataset.json; moments: of the train latents, where nothing else is known."""
        if self.taken:
            return self.taken
        mean, std = (self.mean, self.std) if self.std else moments.mean_and_std()
        return TokenizerInfo(
            name=self.name,
            fingerprint=stated_fingerprint(self.name, self.strides, self.channels),
            file=NO_FILE,
            strides=self.strides,
            channels=self.channels,
            mean=mean,
            std=std,
        )

    def copy_file(self, source: str, out: pathlib.Path) -> None:
        """Of a tokenizer that was taken, its weights."""
        if self.taken and self.taken.file != NO_FILE:
            content = pathlib.Path(source, self.taken.file).read_bytes()
            write_file(out / self.taken.file, content)


def _numbers(flag: str, text: str) -> Numbers:
    try:
        return tuple(map(float, text.split(","))) if text else ()
    except ValueError:
        raise ConfigError(
            f"--{flag}={text}: numbers, as 0.1,-0.2, would work"
        ) from None


def _strides(text: str) -> tuple[int, int, int]:
    try:
        time, height, width = map(int, text.split(","))
        if min(time, height, width) < 1:
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"--strides={text}: pixels to a latent in time, height, width, as 4,8,8, "
            f"would work"
        ) from None
    return time, height, width


def _each(flag: str, values: Numbers, channels: int) -> Numbers:
    """One for each channel."""
    if len(values) not in (0, 1, channels):
        raise ConfigError(
            f"--{flag} has {len(values)} numbers for {channels} channels: one, or one "
            f"for each, would work"
        )
    return values * channels if len(values) == 1 else values
