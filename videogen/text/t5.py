"""The encoders of T5, v1.0 and v1.1, mT5, Flan-T5 ("t5"), UMT5 ("umt5") and ByT5 ("byt5").

Pre-norm by RMS, no biases, no absolute positions: scores are unscaled and take a learned bias
for each head and bucket of distances (Raffel et al. 2020, section 2.1). The MLP is a gated GELU
(Shazeer 2020), in v1.0 a ReLU. T5's layers share the first one's bias; UMT5 has one in each
(Chung et al. 2023). ByT5 is T5 v1.1 on bytes. The output is the last hidden state, normed.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Int

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.models.weights import WeightTable
from videogen.nn.fence import Network
from videogen.nn.mlp import MLP, SwiGLU
from videogen.nn.norm import RMSNorm
from videogen.nn.stack import make_stack, run_stack
from videogen.parallel.constrain import constrain
from videogen.parallel.rules import Table
from videogen.text import folder as folders
from videogen.text import words
from videogen.text.attention import BiasedAttention

FILES = ((words.VOCABULARY,), ("spiece.model",))
FIRST_BIAS = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
# One tensor under two names; releases hold either or both.
EMBEDDINGS = ("shared.weight", "encoder.embed_tokens.weight")


@dataclass(frozen=True, kw_only=True)
class T5Config:
    """Fields of config.json, by their names there."""

    vocab_size: int
    d_model: int
    d_kv: int
    d_ff: int
    num_layers: int
    num_heads: int
    feed_forward_proj: str = "relu"
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    layer_norm_epsilon: float = 1e-6

    def __post_init__(self):
        if self.feed_forward_proj not in ("gated-gelu", "relu"):
            raise ConfigError(
                f"feed_forward_proj={self.feed_forward_proj!r}: 'gated-gelu', or 'relu' "
                "of T5 v1.0, would work"
            )

    @property
    def is_gated(self) -> bool:
        return self.feed_forward_proj == "gated-gelu"


class Block(nnx.Module):
    """Attention, then the MLP, each on the normed stream and added to it."""

    def __init__(self, config: T5Config, *, has_distances: bool, rngs: nnx.Rngs):
        width, heads = config.d_model, config.num_heads
        norm = functools.partial(RMSNorm, width, eps=config.layer_norm_epsilon)
        self.attention = BiasedAttention(
            width, heads, config.d_kv, scale=1.0, bias=False, rngs=rngs
        )
        self.attention_norm, self.mlp_norm = norm(), norm()
        self.mlp = (
            SwiGLU(width, config.d_ff, activation="gelu_tanh", rngs=rngs)
            if config.is_gated
            else MLP(width, config.d_ff, activation="relu", bias=False, rngs=rngs)
        )
        self.distances = _distances(config) if has_distances else None

    def __call__(
        self, x_BLD: Array, buckets_LL: np.ndarray, shared_KLL: Array, mask_BL: Array
    ) -> Array:
        own = self.distances
        bias_KLL = shared_KLL if own is None else look_up(own[...], buckets_LL)
        x_BLD = x_BLD + self.attention(self.attention_norm(x_BLD), bias_KLL, mask_BL)
        x_BLD = x_BLD + self.mlp(self.mlp_norm(x_BLD))
        return constrain(x_BLD, "batch text features")


class T5(nnx.Module):
    """Tokens to last hidden states, in the dtype of the embeddings.

    each_layer: whether every layer has a bias of its own, or all share one.
    """

    def __init__(self, config: T5Config, *, each_layer: bool, rngs: nnx.Rngs):
        self.config = config
        self.words = nnx.Param(jnp.zeros((config.vocab_size, config.d_model)))
        self.distances = None if each_layer else _distances(config)
        make = functools.partial(Block, config, has_distances=each_layer)
        self.blocks = make_stack(
            lambda rngs: make(rngs=rngs), config.num_layers, rngs=rngs
        )
        self.norm = RMSNorm(config.d_model, eps=config.layer_norm_epsilon)

    def __call__(
        self, tokens_BL: Int[Array, "B L"], mask_BL: Bool[Array, "B L"]
    ) -> Float[Array, "B L D"]:
        config, length = self.config, tokens_BL.shape[1]
        buckets_LL = buckets_of(
            length,
            config.relative_attention_num_buckets,
            config.relative_attention_max_distance,
        )
        shared_KLL = jnp.zeros((1, length, length))
        if self.distances is not None:
            shared_KLL = look_up(self.distances[...], buckets_LL)
        x_BLD = constrain(self.words[...][tokens_BL], "batch text features")
        x_BLD = run_stack(
            self.blocks,
            lambda block, x: block(x, buckets_LL, shared_KLL, mask_BL),
            x_BLD,
        )
        return jnp.where(mask_BL[..., None], self.norm(x_BLD), 0.0)


def buckets_of(length: int, num_buckets: int, max_distance: int) -> np.ndarray:
    """(L, L) the bucket of each pair: half of them for keys behind the query.

    Of a half, the first half are single distances, the rest grow by a constant factor up to
    `max_distance`. In float32 and in the order of the original, whose rounding decides.
    """
    place_L = np.arange(length)
    offset_LL = place_L[None] - place_L[:, None]
    distance_LL, half = np.abs(offset_LL), num_buckets // 2
    exact = half // 2
    ratio_LL = np.maximum(distance_LL, 1).astype(np.float32) / np.float32(exact)
    log_LL = np.log(ratio_LL) / np.float32(np.log(max_distance / exact))
    far_LL = exact + (log_LL * np.float32(half - exact)).astype(np.int64)
    near_LL = np.where(distance_LL < exact, distance_LL, np.minimum(far_LL, half - 1))
    return near_LL + half * (offset_LL > 0)


def look_up(distances_RK: Array, buckets_LL: np.ndarray) -> Array:
    """bias_KLL of a table of buckets and heads."""
    return jnp.moveaxis(distances_RK[buckets_LL], -1, 0)


def weight_table(keys: Mapping[str, object], *, is_gated: bool = True) -> WeightTable:
    """For a release with these keys; of a whole T5 the decoder is left."""
    embedding = next((x for x in EMBEDDINGS if x in keys), EMBEDDINGS[0])
    others = "|".join(x for x in EMBEDDINGS if x != embedding)
    return WeightTable(
        stacks={"blocks": "encoder.block.{}"},
        renames=(
            (r"\.attention\.to_(q|k|v|o)\w*", r".layer.0.SelfAttention.\1"),
            (r"\.attention_norm", ".layer.0.layer_norm"),
            (r"\.mlp\.gate", ".layer.1.DenseReluDense.wi_0"),
            (r"\.mlp\.up", f".layer.1.DenseReluDense.{'wi_1' if is_gated else 'wi'}"),
            (r"\.mlp\.down", ".layer.1.DenseReluDense.wo"),
            (r"\.mlp_norm", ".layer.1.layer_norm"),
            (r"^norm", "encoder.final_layer_norm"),
            (r"^words$", embedding),
            (r"^distances$", FIRST_BIAS),
            (
                r"\.distances$",
                ".layer.0.SelfAttention.relative_attention_bias.weight",
            ),
        ),
        ignored=rf"^(decoder\.|lm_head\.|{others})",
    )


def sharding(each_layer: bool) -> Table:
    """Which dims the devices cut: the stream's."""
    distances = (None, None, None) if each_layer else (None, None)
    return (
        (r"distances$", distances),
        (r"\.(to_[qkv]|gate|up)\.kernel$", ("layers", "embed", None)),
        (r"\.(to_out|down)\.kernel$", ("layers", None, "embed")),
        (r"^words$", (None, "embed")),
        (r"^norm\.scale$", (None,)),
        (r"\.scale$", ("layers", None)),
    )


def make_t5(
    folder: Path, length: int, *, kind: str, dtype: str
) -> folders.FolderEncoder:
    """The encoder of a folder. kind: "t5", "umt5" or "byt5", with anything after "_".

    Raises DataError for files that are missing, damaged or of another model, ConfigError for
    a length below 2 or sizes that are not understood.
    """
    base, each_layer = kind.partition("_")[0], kind.startswith("umt5")
    words.check_length(kind, length, 2)
    config = folders.read_fields(folder, T5Config)
    tensors = folders.open_tensors(folder)
    files = () if base == "byt5" else words.find_files(folder, FILES)
    tokenize = (
        words.Words(words.read_tokenizer(files), length)
        if files
        else words.Bytes(length)
    )
    spec = folders.Spec(
        network=Network.of(lambda rngs: T5(config, each_layer=each_layer, rngs=rngs)),
        table=weight_table(tensors, is_gated=config.is_gated),
        sharding=sharding(each_layer),
        width=config.d_model,
    )
    return folders.FolderEncoder(
        name=kind,
        length=length,
        dim=config.d_model,
        fingerprint=folders.fingerprint(kind, length, folder, files),
        tokenize=tokenize,
        run=folders.start(spec, folder, tensors, dtype=dtype, length=length),
    )


def _distances(config: T5Config) -> nnx.Param:
    shape = (config.relative_attention_num_buckets, config.num_heads)
    return nnx.Param(jnp.zeros(shape))
