"""What every transformer's config has, and must satisfy."""

import math
from typing import Any

from videogen.core.errors import ConfigError, suggest
from videogen.nn.stack import REMAT
from videogen.ops.attention.api import AttentionPlan

DTYPES = ("float32", "bfloat16")


class Transformer:
    """Sizes that follow from the fields of a family's config."""

    latent_channels: int
    patch: tuple[int, int, int]
    width: int
    num_heads: int

    @property
    def head_dim(self) -> int:
        return self.width // self.num_heads

    @property
    def token_dim(self) -> int:
        """Numbers in one token's patch of the latent."""
        return math.prod(self.patch) * self.latent_channels

    @property
    def given_dim(self) -> int:
        """Numbers in one token's patch of what is given beside it."""
        return math.prod(self.patch) * getattr(self, "given_channels", 0)

    @property
    def more_texts(self) -> list[tuple[str, int]]:
        """(name, dim) of the text encoders after the first."""
        dims = getattr(self, "more_text_dims", ())
        return [(f"text{i + 2}", dim) for i, dim in enumerate(dims)]

    @property
    def needs(self) -> dict[str, str]:
        """Conditions beside a text without which it does not run -> what does without.

        As a field is set on the command line, without `config.`; "": nothing does.
        """
        return {f"{name}_BLX": "model.more_text_dims=()" for name, _ in self.more_texts}


def check_transformer(config: Any) -> None:
    """ConfigError, naming the field, for a size or name that cannot work."""
    sizes = {field: getattr(config, field) for field in _SIZES}
    sizes |= {f"patch[{dim}]": size for dim, size in enumerate(config.patch)}
    for field, size in sizes.items():
        if size < 1:
            raise ConfigError(f"model.{field}={size} must be at least 1")
    _check_heads(config.width, config.num_heads)
    split = getattr(config, "rope_split", None)
    if split is not None and sum(split) != config.head_dim:
        raise ConfigError(
            f"model.rope_split={split} must sum to the head dim {config.head_dim}"
        )
    if config.freq_dim % 2:
        raise ConfigError(f"model.freq_dim={config.freq_dim} must be even")
    if config.dtype not in DTYPES:
        raise ConfigError(
            f"model.dtype={config.dtype!r}{suggest(config.dtype, DTYPES)}"
        )
    for name in config.remat.split(","):  # they take turns
        if name not in REMAT:
            raise ConfigError(
                f"model.remat={config.remat!r}{suggest(name, REMAT)}; or several of them, "
                "with commas, that take turns"
            )
    try:
        AttentionPlan(implementation=config.attention)
    except ConfigError as error:
        raise ConfigError(f"model.attention: {error}") from None


_SIZES = (*("latent_channels", "width", "depth", "num_heads", "mlp_width", "freq_dim"),)


def _check_heads(width: int, num_heads: int) -> None:
    if width % num_heads or (width // num_heads) % 2:
        step = 2 * num_heads
        low = width // step * step
        fits = f"{low} or {low + step}" if low else f"{step}"
        raise ConfigError(
            f"model.width={width} does not cut into model.num_heads={num_heads} heads of "
            f"an even size; a width of {fits} would work"
        )
