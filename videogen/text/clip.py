"""CLIP's text encoder: causal, pre-norm, learned positions (Radford et al. 2021).

"clip" gives the last hidden states, normed; "clip_pooled" the one at the first end of text,
"clip_projected" that one projected to the space that images share.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float, Int

from videogen.core.types import Array
from videogen.models.weights import WeightTable
from videogen.nn.fence import Network
from videogen.nn.linear import Linear
from videogen.nn.norm import LayerNorm
from videogen.nn.stack import make_stack, run_stack
from videogen.parallel.constrain import constrain
from videogen.parallel.rules import Table
from videogen.text import folder as folders
from videogen.text import words
from videogen.text.attention import MASKED
from videogen.text.tower import RENAMES, SHARDING, Block, Tower

FILES = ((words.VOCABULARY,), ("vocab.json", "merges.txt"))
LEGACY_END = 2  # configs with this id mean the largest id of a text


@dataclass(frozen=True, kw_only=True)
class ClipConfig(Tower):
    """Fields of config.json, or of its text_config, which leaves out what is as here."""

    vocab_size: int = 49408
    hidden_size: int = 512
    intermediate_size: int = 2048
    projection_dim: int = 512
    num_attention_heads: int = 8
    max_position_embeddings: int = 77
    eos_token_id: int = 49407


class Clip(nnx.Module):
    """Tokens to hidden states (B, L, D), or to one vector of each text (B, 1, D).

    output: "states", "pooled" or "projected".
    """

    def __init__(self, config: ClipConfig, *, output: str, rngs: nnx.Rngs):
        self.config, self.output = config, output
        width = config.hidden_size
        self.words = nnx.Param(jnp.zeros((config.vocab_size, width)))
        self.positions = nnx.Param(jnp.zeros((config.max_position_embeddings, width)))
        self.blocks = make_stack(
            lambda rngs: Block(config, rngs=rngs), config.num_hidden_layers, rngs=rngs
        )
        self.norm = LayerNorm(width, eps=config.layer_norm_eps)
        is_projected = output == "projected"
        self.projection = (
            Linear(width, config.projection_dim, bias=False, rngs=rngs)
            if is_projected
            else None
        )

    def __call__(
        self, tokens_BL: Int[Array, "B L"], mask_BL: Bool[Array, "B L"]
    ) -> Float[Array, "B N D"]:
        length = tokens_BL.shape[1]
        x_BLD = self.words[...][tokens_BL] + self.positions[...][:length]
        x_BLD = constrain(x_BLD, "batch text features")
        causal_1LL = jnp.triu(jnp.full((1, length, length), MASKED), 1)
        x_BLD = run_stack(
            self.blocks, lambda block, x: block(x, causal_1LL, mask_BL), x_BLD
        )
        x_BLD = self.norm(x_BLD)
        if self.output == "states":
            return jnp.where(mask_BL[..., None], x_BLD, 0.0)
        end_B = self._ends(tokens_BL)
        pooled_B1D = jnp.take_along_axis(x_BLD, end_B[:, None, None], axis=1)
        return pooled_B1D if self.projection is None else self.projection(pooled_B1D)

    def _ends(self, tokens_BL: Array) -> Array:
        """Where the first end of each text stands."""
        if self.config.eos_token_id == LEGACY_END:
            return tokens_BL.argmax(1)
        return (tokens_BL == self.config.eos_token_id).argmax(1)


def weight_table(keys: Mapping[str, object], output: str) -> WeightTable:
    """For a release with these keys: of the text model, or of all of CLIP."""
    prefix = "text_model." if any(k.startswith("text_model.") for k in keys) else ""
    unused = [
        "vision_model\\.",
        "visual_projection\\.",
        "logit_scale",
        ".*position_ids",
    ]
    if output != "projected":
        unused.append("text_projection\\.")
    return WeightTable(
        stacks={"blocks": f"{prefix}encoder.layers.{{}}"},
        renames=(
            *RENAMES,
            (r"^norm", f"{prefix}final_layer_norm"),
            (r"^words$", f"{prefix}embeddings.token_embedding.weight"),
            (r"^positions$", f"{prefix}embeddings.position_embedding.weight"),
            (r"^projection", "text_projection"),
        ),
        ignored=f"^({'|'.join(unused)})",
    )


def sharding(output: str) -> Table:
    """Which dims the devices cut: the stream's."""
    projection: Table = ((r"^projection\.kernel$", ("embed", None)),)
    return (
        *(projection if output == "projected" else ()),
        *SHARDING,
        (r"^(words|positions)$", (None, "embed")),
        (r"^norm\.", (None,)),
    )


def make_clip(
    folder: Path, length: int, *, kind: str, dtype: str
) -> folders.FolderEncoder:
    """The encoder of a folder. kind: "clip", "clip_pooled" or "clip_projected", "_bf16" too.

    Where one vector is given of a text, `length` is 1 and all positions are read.

    Raises DataError for files that are missing, damaged or of another model, ConfigError for
    a length that it has no positions for.
    """
    config = folders.read_fields(folder, ClipConfig, "text_config")
    output = kind.removesuffix("_bf16").removeprefix("clip").strip("_") or "states"
    num_tokens, most = length, config.max_position_embeddings
    if output != "states":
        length, num_tokens = 1, most
    words.check_length(kind, num_tokens, 2, most)
    tensors = folders.open_tensors(folder)
    files = words.find_files(folder, FILES)
    spec = folders.Spec(
        network=Network.of(lambda rngs: Clip(config, output=output, rngs=rngs)),
        table=weight_table(tensors, output),
        sharding=sharding(output),
        width=config.hidden_size,
    )
    projected = output == "projected"
    return folders.FolderEncoder(
        name=kind,
        length=length,
        dim=config.projection_dim if projected else config.hidden_size,
        fingerprint=folders.fingerprint(kind, length, folder, files),
        tokenize=words.Words(words.read_tokenizer(files), num_tokens),
        run=folders.start(spec, folder, tensors, dtype=dtype, length=num_tokens),
    )
