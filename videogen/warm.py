"""The first step of a job, compiled before its pod is there, for JAX's compilation cache.

The program is the job's own: its dataset's constants and the shapes of its batches. JAX finds
it by a hash of the program, the compiler's options and version, the flags in
LIBTPU_INIT_ARGS, and the devices with their ids; so the job runs the same versions, on the same
topology, and sets no such flags. Its metrics say whether it was found (`compile_cache_hits`).
"""

from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import Mesh

from videogen import build, flagship, run, stages, trainer
from videogen.build import Settings
from videogen.cost.case import Case
from videogen.feed import Feed, open_feed
from videogen.flagship import Shape
from videogen.parallel import rules
from videogen.parallel.mesh import MeshConfig, make_mesh


def read(config: str, overrides: Sequence[str] = ()) -> Settings:
    """The first stage of a config. ConfigError for what cannot be."""
    loaded = build.load_config(config)
    build.override(loaded, overrides)
    return stages.of(build.read(loaded))[0]


def step_case(devices: Any, config: str, overrides: Sequence[str] = ()) -> Case:
    """Its first step on these devices. ConfigError or DataError as `videogen train`."""
    settings = read(config, overrides)
    mesh = make_mesh(settings.mesh, devices)
    feed = open_feed(settings, make_mesh(MeshConfig(), jax.devices()[:1]))
    run.check_fits(settings, feed, mesh)
    parts = trainer.make(settings, mesh, feed.tokenizer, feed.audio)
    shape = Shape(
        latent_FHWC=feed.latent_shape,
        text_tokens=sum(info.length for info, _ in feed.texts.values()),
    )
    return flagship.case_of(settings, shape, parts, first_batch(feed, mesh))


def first_batch(feed: Feed, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """That of the first step, read on this host, as shapes on the mesh."""
    start = feed.settings.stage.start
    batch = next(feed.train_batches(start, start + 1))
    return {
        name: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=rules.batch_sharding(mesh, leaf.ndim)
        )
        for name, leaf in batch.items()
    }
