"""The image towers of CLIP (Radford et al. 2021) and of SigLIP (Zhai et al. 2023).

Patches and learned positions, then pre-norm blocks that attend everything. CLIP has a class
token in front and a norm before the blocks; "clip" gives what comes out of the last block but
one, as Wan's I2V reads it. "siglip" gives the last block's, normed, as HunyuanVideo 1.5 does.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from videogen.core.types import Array
from videogen.image import pixels
from videogen.models.weights import Rule, WeightTable, patch_conv
from videogen.nn.fence import Network
from videogen.nn.linear import Linear
from videogen.nn.norm import LayerNorm
from videogen.nn.patch import patchify
from videogen.nn.stack import make_stack, run_stack
from videogen.parallel.constrain import constrain
from videogen.parallel.rules import Table
from videogen.text import folder as folders
from videogen.text.runner import Runner
from videogen.text.tower import RENAMES, SHARDING, Block, Tower


@dataclass(frozen=True, kw_only=True)
class VisionConfig(Tower):
    """Fields of config.json, or of its vision_config, which leaves out what is as here."""

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_attention_heads: int = 12
    image_size: int = 224
    patch_size: int = 32

    @property
    def num_patches(self) -> int:
        return (self.image_size // self.patch_size) ** 2


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What towers differ in, besides sizes.

    prepare: (image uint8, size) -> what the tower sees.
    defaults: of fields that the folder's config leaves out.
    has_class: a class token comes first, and a norm before the blocks.
    unused: blocks at the end whose output is not asked for; 0: all run, and the norm after.
    """

    prepare: Callable[[np.ndarray, int], np.ndarray]
    defaults: Mapping[str, object]
    has_class: bool
    unused: int


KINDS = {
    "clip": Kind(prepare=pixels.of_clip, defaults={}, has_class=True, unused=1),
    "siglip": Kind(
        prepare=pixels.of_siglip,
        defaults={
            **{"patch_size": 16, "hidden_act": "gelu_pytorch_tanh"},
            "layer_norm_eps": 1e-6,
        },
        has_class=False,
        unused=0,
    ),
}


class Vision(nnx.Module):
    """Pixels, as `Kind.prepare` gives them, to hidden states."""

    def __init__(self, config: VisionConfig, kind: Kind, *, rngs: nnx.Rngs):
        self.config = config
        width, patch = config.hidden_size, config.patch_size
        length = config.num_patches + kind.has_class
        self.patches = Linear(3 * patch**2, width, bias=not kind.has_class, rngs=rngs)
        self.positions = nnx.Param(jnp.zeros((length, width)))
        self.class_token = nnx.Param(jnp.zeros(width)) if kind.has_class else None
        norm = functools.partial(LayerNorm, width, eps=config.layer_norm_eps)
        self.pre_norm = norm() if kind.has_class else None
        self.norm = None if kind.unused else norm()
        self.blocks = make_stack(
            lambda rngs: Block(config, rngs=rngs),
            config.num_hidden_layers - kind.unused,
            rngs=rngs,
        )

    def __call__(self, x_BHWC: Float[Array, "B H W 3"]) -> Float[Array, "B L D"]:
        patch, positions_LD = self.config.patch_size, self.positions[...]
        x_BHWC = x_BHWC.astype(positions_LD.dtype)
        x_BLD = self.patches(patchify(x_BHWC[:, None], (1, patch, patch)))
        if self.class_token is not None:
            first_D = self.class_token[...]
            first_B1D = jnp.broadcast_to(first_D, (len(x_BLD), 1, len(first_D)))
            x_BLD = jnp.concatenate([first_B1D, x_BLD], axis=1)
        x_BLD = constrain(x_BLD + positions_LD, "batch text features")
        if self.pre_norm is not None:
            x_BLD = self.pre_norm(x_BLD)
        length = len(positions_LD)
        no_bias_1LL = jnp.zeros((1, length, length))
        all_BL = jnp.ones(x_BLD.shape[:2], bool)
        x_BLD = run_stack(
            self.blocks, lambda block, x: block(x, no_bias_1LL, all_BL), x_BLD
        )
        return x_BLD if self.norm is None else self.norm(x_BLD)


@dataclass(kw_only=True, eq=False)  # not frozen: nor is the protocol
class VisionEncoder:
    """The encoder, as `image.base.ImageEncoder` has it."""

    name: str
    length: int
    dim: int
    fingerprint: str
    prepare: Callable[[np.ndarray], np.ndarray]
    run: Runner

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """image_BLX float32 of uint8 images (height, width, 3), of any sizes."""
        x_BHWC = np.stack([self.prepare(image) for image in images])
        return self.run(x_BHWC, shape=(self.length, self.dim))


def weight_table(
    keys: Mapping[str, object], config: VisionConfig, kind: Kind
) -> WeightTable:
    """For a release with these keys: of the image tower, or of all of the model."""
    prefix = "vision_model." if any(k.startswith("vision_model.") for k in keys) else ""
    count = config.num_hidden_layers
    layers = "|".join(map(str, range(count - kind.unused, count)))
    unused = rf"encoder\.layers\.({layers})\.|post_layernorm\.|" * bool(kind.unused)
    inside = rf"{prefix}({unused}head\.|.*position_ids)"
    outside = r"text_model\.|(text|visual)_projection\.|logit_(scale|bias)"
    patch = config.patch_size
    return WeightTable(
        stacks={"blocks": f"{prefix}encoder.layers.{{}}"},
        renames=(
            *RENAMES,
            (r"^pre_norm", f"{prefix}pre_layrnorm"),  # as it is spelt there
            (r"^norm", f"{prefix}post_layernorm"),
            (r"^patches", f"{prefix}embeddings.patch_embedding"),
            (r"^class_token$", f"{prefix}embeddings.class_embedding"),
            (r"^positions$", f"{prefix}embeddings.position_embedding.weight"),
        ),
        rules=(
            Rule(
                pattern=r"(?<=patch_embedding)\.kernel$",
                key=".weight",
                layout=patch_conv(3, (patch, patch)),
            ),
        ),
        ignored=f"^({inside}|{outside})",
    )


def sharding(kind: Kind) -> Table:
    """Which dims the devices cut: the stream's."""
    only = ((r"^class_token$", (None,)),) if kind.has_class else ()
    return (
        *SHARDING,
        *only,
        (r"^patches\.kernel$|^positions$", (None, "embed")),
        (r"^(pre_)?norm\.|^patches\.bias$", (None,)),
    )


def make_vision(folder: Path, *, kind: str, dtype: str) -> VisionEncoder:
    """The encoder of a folder. kind: a name in KINDS, or that with "_bf16".

    Raises DataError for files that are missing, damaged or of another model, ConfigError for
    a field of config.json.
    """
    own = KINDS[kind.removesuffix("_bf16")]
    config = folders.read_fields(folder, VisionConfig, "vision_config", own.defaults)
    length = config.num_patches + own.has_class
    tensors = folders.open_tensors(folder)
    spec = folders.Spec(
        network=Network.of(lambda rngs: Vision(config, own, rngs=rngs)),
        table=weight_table(tensors, config, own),
        sharding=sharding(own),
        width=config.hidden_size,
    )
    return VisionEncoder(
        name=kind,
        length=length,
        dim=config.hidden_size,
        fingerprint=folders.fingerprint(kind, length, folder, ()),
        prepare=lambda image: own.prepare(image, config.image_size),
        run=folders.start(spec, folder, tensors, dtype=dtype, length=length),
    )
