"""Encoders of text and of images from a local folder as transformers saves them: no downloads.

config.json                      sizes
model.safetensors                or shards of it; never a pickle
tokenizer.json or what it is made of   here, or in the sibling that pipelines of diffusers have:
                                 text_encoder_2/ -> tokenizer_2/
"""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from videogen.core.errors import DataError
from videogen.core.fields import fill
from videogen.core.types import Params
from videogen.models.exchange import CONFIG, Tensors
from videogen.models.weights import WeightTable, ours
from videogen.nn.fence import Network
from videogen.parallel.rules import Table, tree_shardings
from videogen.text.runner import Runner, local_mesh

T = TypeVar("T")
WEIGHTS = "model.safetensors"
CALL_TOKENS = 4096  # about so many tokens go through a network at once
Tokenize = Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(kw_only=True, eq=False)  # not frozen: nor is the protocol
class FolderEncoder:
    """The encoder, as `text.base.TextEncoder` has it.

    `length` is 1 where the network gives one vector of the whole text.
    """

    name: str
    length: int
    dim: int
    fingerprint: str
    tokenize: Tokenize  # texts -> (tokens_BL int32, mask_BL bool)
    run: Runner

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(text_BLD float32, text_mask_BL bool). Masked positions hold zeros."""
        tokens_BL, mask_BL = self.tokenize(texts)
        text_BLD = self.run(tokens_BL, mask_BL, shape=(self.length, self.dim))
        return text_BLD, mask_BL[:, : self.length]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec:
    """What a kind of encoder is, once its folder's config is read.

    table: of the keys that the folder has.
    width: what the devices cut, as many of them as divide it.
    """

    network: Network
    table: WeightTable
    sharding: Table
    width: int


def read_fields(
    folder: Path,
    kind: type[T],
    section: str | None = None,
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> T:
    """The dataclass `kind` of config.json, or of a section that it may have.

    Fields of the file that `kind` lacks are passed over; defaults: before its own. DataError
    for a missing or damaged file, ConfigError for a field.
    """
    path = folder / CONFIG
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error})") from error
    if section is not None:
        # A model of several parts keeps the width of its projections beside them.
        shared = {n: values[n] for n in ("projection_dim",) if n in values}
        values = values.get(section, values) | shared
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    known = {n: x for n, x in values.items() if n in names}
    return fill(kind, {**defaults, **known}, str(path))


def open_tensors(folder: Path) -> Tensors:
    """The tensors; of a folder with several variants, model.safetensors."""
    single = folder / WEIGHTS
    return Tensors(single if single.is_file() else folder)


def start(
    spec: Spec, folder: Path, tensors: Tensors, *, dtype: str, length: int
) -> Runner:
    """The network with its weights, cut over this process's devices. DataError: other keys."""
    mesh = local_mesh(dividing=spec.width)
    try:
        params = load_params(spec, tensors, mesh, jnp.dtype(dtype))
    except DataError as error:
        raise DataError(f"{folder}: {error}") from None
    rows = -(-max(1, CALL_TOKENS // length) // mesh.size) * mesh.size
    return Runner(spec.network, params, mesh, rows)


def load_params(spec: Spec, tensors: Tensors, mesh: Mesh, dtype: Any) -> Params:
    """Our parameters; the host holds one at a time. DataError as `WeightTable.check`."""
    abstract = spec.network.abstract()
    shapes = {path: leaf.shape for path, leaf in abstract.items()}
    spec.table.check(shapes, tensors.shapes())
    shardings = tree_shardings(abstract, spec.sharding, mesh)
    params = {}
    by_path = itertools.groupby(spec.table.places(shapes), lambda place: place.path)
    for path, places in by_path:
        whole = np.empty(shapes[path], dtype)
        for place in places:
            where = ... if place.layer is None else place.layer
            whole[where] = ours(place, tensors[place.key])
        params[path] = jax.make_array_from_callback(
            whole.shape, shardings[path], whole.__getitem__
        )
    return params


def fingerprint(kind: str, length: int, folder: Path, files: Sequence[Path]) -> str:
    """sha256 over the kind, the length, the config, the weights and the vocabulary."""
    single = folder / WEIGHTS
    weights = [single] if single.is_file() else sorted(folder.glob("*.safetensors"))
    digest = hashlib.sha256(f"{kind} 1 {length}".encode())
    for path in (folder / CONFIG, *weights, *files):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
