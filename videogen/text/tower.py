"""The blocks of CLIP's towers, of text and of images, and of SigLIP's: pre-norm, biased."""

import functools
from dataclasses import dataclass

from flax import nnx

from videogen.core.errors import ConfigError, suggest
from videogen.core.types import Array
from videogen.nn.mlp import MLP
from videogen.nn.norm import LayerNorm
from videogen.parallel.constrain import constrain
from videogen.parallel.rules import Table
from videogen.text.attention import BiasedAttention

ACTIVATIONS = {
    **{"quick_gelu": "quick_gelu", "gelu": "gelu"},
    **dict.fromkeys(("gelu_new", "gelu_pytorch_tanh"), "gelu_tanh"),
}
# What transformers calls the parts of a block.
RENAMES = (
    (r"\.attention\.to_(q|k|v|out)\b", r".self_attn.\1_proj"),
    (r"\.attention_norm", ".layer_norm1"),
    (r"\.mlp\.up", ".mlp.fc1"),
    (r"\.mlp\.down", ".mlp.fc2"),
    (r"\.mlp_norm", ".layer_norm2"),
)
# Which dims of a stack of blocks the devices cut: the stream's.
SHARDING: Table = (
    (r"\.(to_[qkv]|up)\.kernel$", ("layers", "embed", None)),
    (r"\.(to_out|down)\.kernel$", ("layers", None, "embed")),
    (r"^blocks\..*(scale|bias)$", ("layers", None)),
)


@dataclass(frozen=True, kw_only=True)
class Tower:
    """Sizes of a tower, by their names in config.json."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int = 12
    num_attention_heads: int
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5

    def __post_init__(self):
        if self.hidden_act not in ACTIVATIONS:
            near = suggest(self.hidden_act, ACTIVATIONS)
            raise ConfigError(f"hidden_act={self.hidden_act!r} is not known{near}")


class Block(nnx.Module):
    """Attention, then the MLP, each on the normed stream and added to it."""

    def __init__(self, config: Tower, *, rngs: nnx.Rngs):
        width, heads = config.hidden_size, config.num_attention_heads
        norm = functools.partial(LayerNorm, width, eps=config.layer_norm_eps)
        head_dim = width // heads
        self.attention = BiasedAttention(
            width, heads, head_dim, scale=head_dim**-0.5, bias=True, rngs=rngs
        )
        self.attention_norm, self.mlp_norm = norm(), norm()
        activation = ACTIVATIONS[config.hidden_act]
        self.mlp = MLP(
            width, config.intermediate_size, activation=activation, rngs=rngs
        )

    def __call__(self, x_BLD: Array, bias_1LL: Array, mask_BL: Array) -> Array:
        x_BLD = x_BLD + self.attention(self.attention_norm(x_BLD), bias_1LL, mask_BL)
        x_BLD = x_BLD + self.mlp(self.mlp_norm(x_BLD), "text")
        return constrain(x_BLD, "batch text features")
