"""Released weights <-> ours: what `videogen convert` does."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from videogen.core.errors import ConfigError
from videogen.core.fields import fill
from videogen.models import FAMILIES, find_published
from videogen.models.convert import export_weights, import_weights
from videogen.models.exchange import Layers, Tensors
from videogen.models.published import Published
from videogen.nn.fence import Network
from videogen.train.stored import Arrays, open_stored


def from_release(name: str, names: str, source: Path, destination: Path) -> int:
    """A release's checkpoint -> our exchange folder; bytes written."""
    family, published = find_published(name)
    shapes = shapes_of(family, published.config)
    return import_weights(published, name, names, shapes, source, destination)


def to_release(
    name: str, names: str, source: Path, destination: Path, dtype: str | None = None
) -> int:
    """Our exchange folder or a workdir -> a checkpoint by a release's names; bytes written."""
    family, published = find_published(name)
    published, tensors = ours(family, published, source)
    shapes = shapes_of(family, published.config)
    as_type = None if dtype is None else np.dtype(dtype)
    return export_weights(
        published, name, names, shapes, tensors, destination, dtype=as_type
    )


def shapes_of(family: str, config: Any) -> dict[str, tuple[int, ...]]:
    """Of every parameter; allocates nothing."""
    network = Network.of(FAMILIES[family].make(config))
    return {path: leaf.shape for path, leaf in network.abstract().items()}


def ours(
    family: str, published: Published, source: Path
) -> tuple[Published, Mapping[str, np.ndarray]]:
    """The model as `source` has it, whose sizes may be its own, and its tensors."""
    stored = open_stored(source)
    values = dict(stored.model)
    if values.pop("family", family) != family:
        raise ConfigError(f"{source} is a model of another family than {family}")
    config = fill(FAMILIES[family].config, values, "config.model")
    tensors = Layers(Arrays(stored))
    if any(source.glob("*.safetensors")):
        tensors = Tensors(source)  # as they are, in their own dtype
    return dataclasses.replace(published, config=config), tensors
