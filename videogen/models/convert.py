"""Released checkpoints <-> our exchange folder, tensor by tensor, by a model's table."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from videogen.core.errors import ConfigError, DataError, suggest
from videogen.models.exchange import FORMAT, SHARD_BYTES, Tensors, write_folder
from videogen.models.published import Published
from videogen.models.weights import (
    Place,
    Shape,
    WeightTable,
    layer_key,
    ours,
    put,
)

EXPERTS = (("transformer", "transformer_2"), ("high_noise_model", "low_noise_model"))
STEM = {"diffusers": "diffusion_pytorch_model", "native": "model"}


def import_weights(
    published: Published,
    name: str,
    origin: str,
    shapes: Mapping[str, Shape],
    source: Path,
    destination: Path,
) -> int:
    """Their checkpoint -> our exchange folder; bytes written.

    Args:
      published: the model called `name`. origin: whose names the checkpoint uses.
      shapes: of our parameters. source: a folder, or a pipeline's, or one file.

    Raises DataError when the checkpoint is not of this model, naming keys.
    """
    table = table_of(published, name, origin)
    theirs = Tensors(_transformer(source))
    table.check(shapes, theirs.shapes())
    config = {
        "format": FORMAT,
        "model": name,
        "origin": origin,
        "config": asdict(published.config),
    }

    def tensors() -> Iterator[tuple[str, np.ndarray]]:
        for place in table.places(shapes):
            yield layer_key(place), ours(place, theirs[place.key])

    return write_folder(
        destination, tensors(), stem="weights", config=config, checksum=True
    )


def export_weights(
    published: Published,
    name: str,
    origin: str,
    shapes: Mapping[str, Shape],
    source: Mapping[str, np.ndarray],
    destination: Path,
    *,
    dtype: Any = None,
    shard_bytes: int = SHARD_BYTES,
) -> int:
    """Our tensors, by `layer_key`, -> a checkpoint under their names; bytes written.

    dtype: of what is written; None: of what is read.
    """
    table = table_of(published, name, origin)
    places: dict[str, list[Place]] = defaultdict(list)
    for place in table.places(shapes):
        places[place.key].append(place)
    missing = [
        layer_key(x)
        for found in places.values()
        for x in found
        if layer_key(x) not in source
    ]
    if missing:
        raise DataError(
            f"{len(missing)} tensors of {name} are missing, {missing[0]} for one"
        )
    config = _their_config(published, origin)
    their_shapes = table.their_shapes(shapes)

    def tensors() -> Iterator[tuple[str, np.ndarray]]:
        for key, found in places.items():
            value = _theirs(found, source, their_shapes[key])
            yield key, value if dtype is None else value.astype(dtype)

    return write_folder(
        destination,
        tensors(),
        stem=STEM[origin],
        config=config,
        shard_bytes=shard_bytes,
    )


def table_of(published: Published, name: str, origin: str) -> WeightTable:
    """The model's table for `origin`. ConfigError when there is none."""
    if origin not in published.weights:
        known = f"{suggest(origin, published.weights)}" if published.weights else ""
        raise ConfigError(f"{name}: no table of weights for {origin!r}{known}")
    return published.weights[origin](published.config)


def _theirs(
    places: list[Place], source: Mapping[str, np.ndarray], shape: Shape
) -> np.ndarray:
    """One tensor of theirs, of all of ours that it holds."""
    parts = [(place, place.layout.theirs(source[layer_key(place)])) for place in places]
    whole = np.empty(shape, parts[0][1].dtype)
    for place, part in parts:
        put(place, part, whole)
    return whole


def _their_config(published: Published, origin: str) -> dict[str, Any] | None:
    """What their loader reads beside the weights; None where we cannot say it."""
    if origin != "diffusers" or published.diffusers_config is None:
        return None
    return published.diffusers_config(published.config)


def _transformer(source: Path) -> Path:
    """The transformer's folder where `source` is a whole pipeline's; DataError for two."""
    for pair in EXPERTS:
        if all((source / name).is_dir() for name in pair):
            raise DataError(
                f"{source} holds two networks, {pair[0]} (high noise) and {pair[1]} (low): "
                f"convert {source / pair[0]}, then {source / pair[1]}"
            )
    inner = source / "transformer"
    is_pipeline = inner.is_dir() and not any(source.glob("*.safetensors"))
    return inner if is_pipeline else source
