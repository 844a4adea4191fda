"""The training step of a config at its published shape, without a dataset.

What a batch holds follows from the model: the latent and the text tokens of its published
row (`videogen models`), embeddings as wide as it reads them, and what else it needs.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from videogen import build, run, stages, trainer
from videogen.build import Settings
from videogen.core.errors import ConfigError
from videogen.cost.case import Case
from videogen.cost.pod import Pod
from videogen.models import find_published
from videogen.parallel import rules
from videogen.parallel.mesh import make_mesh
from videogen.planning import num_tokens_of
from videogen.trainer import Trainer

IMAGE_TOKENS = 257  # of CLIP's ViT-H/14 at 224 pixels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """One sample: its latent, and the text tokens of all encoders together."""

    latent_FHWC: tuple[int, int, int, int]
    text_tokens: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constants:
    """Of a tokenizer that is not there; their values change no cost."""

    mean_C: np.ndarray
    std_C: np.ndarray

    @classmethod
    def of(cls, channels: int) -> "Constants":
        values = np.linspace(0.5, 1.5, channels, dtype=np.float32)
        return cls(mean_C=values, std_C=values)


def read(
    config: str,
    overrides: Sequence[str] = (),
    latent: Sequence[int] = (),
    text_tokens: int | None = None,
) -> tuple[Settings, Shape]:
    """The last stage of a config, and its sample: published, or as said.

    latent: (F, H, W). ConfigError for what cannot be.
    """
    loaded = build.load_config(config)
    build.override(loaded, overrides)
    settings = stages.of(build.read(loaded))[-1]
    if settings.data.row_tokens:
        raise ConfigError(
            f"config.data.row_tokens={settings.data.row_tokens}: packed rows have no one "
            "shape; 0 would work, and costs the same for clips of one shape"
        )
    run.check_objective(settings)
    name = loaded.model.get("name", "")
    if not name and not (latent and text_tokens is not None):
        raise ConfigError(
            f"{config} is of no published model (config.model.name): give its latent and "
            "text, as --latent=21x60x104 --text_tokens=512"
        )
    if latent and len(latent) != 3:
        size = "x".join(map(str, latent))
        raise ConfigError(f"--latent={size}: frames x rows x columns, as 21x60x104")
    if name:
        published = find_published(name)[1]
        latent = latent or published.latent_FHWC[:3]
        text_tokens = published.text_tokens if text_tokens is None else text_tokens
    frames, rows, columns = latent
    shape = (frames, rows, columns, settings.model.latent_channels)
    return settings, Shape(latent_FHWC=shape, text_tokens=text_tokens or 0)


def make(settings: Settings, mesh: Mesh) -> Trainer:
    """The parts of a step, with constants that stand in for the tokenizers'."""
    trainer.check_mesh(settings, mesh)
    return trainer.make(settings, mesh, *constants(settings))


def step_flops(settings: Settings, shape: Shape) -> float:
    """Matrix products of a step: 3 x forward, no recomputation."""
    forward = settings.family.flops(
        settings.model, shape.latent_FHWC, shape.text_tokens
    )
    return 3.0 * forward * settings.data.global_batch


def step_case(
    devices: Any,
    config: str,
    overrides: Sequence[str] = (),
    latent: Sequence[int] = (),
    text_tokens: int | None = None,
) -> Case:
    """The step that `videogen train` takes, on these devices. ConfigError as there."""
    settings, shape = read(config, overrides, latent, text_tokens)
    mesh = make_mesh(settings.mesh, devices)
    parts = make(settings, mesh)
    return case_of(settings, shape, parts, batch(settings, shape, mesh))


def case_of(
    settings: Settings,
    shape: Shape,
    parts: Trainer,
    batch: dict[str, jax.ShapeDtypeStruct],
) -> Case:
    """The step of these parts on that batch, of samples of the shape."""
    mesh, leaves = parts.mesh, parts.abstract.weights.values()
    return Case(
        function=parts.step,
        args=(parts.abstract, batch),
        flops=step_flops(settings, shape) / mesh.size,
        branch="attention_forward_none",
        pod=Pod.of(mesh),
        facts={
            "parameters": float(sum(leaf.size for leaf in leaves)),
            "tokens": float(num_tokens_of(settings, shape.latent_FHWC)),
            "text_tokens": float(shape.text_tokens),
            "global_batch": float(settings.data.global_batch),
        },
    )


def constants(settings: Settings) -> tuple[Constants, Constants | None]:
    """Of latents, and of sound if the model has any."""
    sound = getattr(settings.model, "audio_channels", 0)
    of_sound = Constants.of(sound) if sound else None
    return Constants.of(settings.model.latent_channels), of_sound


def parse_latent(text: str) -> list[int]:
    """[21, 60, 104] of 21x60x104, [] of nothing. ConfigError for what is no size."""
    sizes = text.split("x") if text else []
    if not all(size.isdecimal() and int(size) for size in sizes):
        raise ConfigError(f"--latent={text}: as 21x60x104")
    return [int(size) for size in sizes]


def batch(
    settings: Settings, shape: Shape, mesh: Any
) -> dict[str, jax.ShapeDtypeStruct]:
    """A batch of `data/pipeline.py`, as shapes on a mesh, with what the network needs."""
    model, clips = settings.model, settings.data.global_batch
    leaves: dict[str, tuple[tuple[int, ...], str]] = {
        "latent_BFHWC": (shape.latent_FHWC, "bfloat16"),
        "label_B": ((), "int32"),
        "fps_B": ((), "float32"),
    }
    texts = [("text", dim)] if (dim := getattr(model, "text_dim", 0)) else []
    texts += model.more_texts
    for name, dim in texts:
        length = shape.text_tokens // len(texts)
        leaves[f"{name}_BL{'D' if name == 'text' else 'X'}"] = (length, dim), "float32"
        leaves[f"{name}_mask_BL"] = (length,), "bool"
    if audio := getattr(model, "audio_channels", 0):
        frames = round(shape.latent_FHWC[0] * model.audio_per_frame)
        leaves |= {"audio_BAC": ((frames, audio), "bfloat16"), "heard_B": ((), "bool")}
    leaves |= {
        name: leaf
        for name, leaf in {
            "pooled_BX": ((getattr(model, "pooled_dim", 0),), "float32"),
            "image_BLX": ((IMAGE_TOKENS, getattr(model, "image_dim", 0)), "bfloat16"),
            "guidance_B": ((), "float32"),
        }.items()
        if name in model.needs
    }
    return {
        name: jax.ShapeDtypeStruct(
            (clips, *dims), kind, sharding=rules.batch_sharding(mesh, 1 + len(dims))
        )
        for name, (dims, kind) in leaves.items()
    }
