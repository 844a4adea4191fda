"""Fixed prompts and seeds -> videos, by the averaged weights."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from videogen.core import prng
from videogen.core.errors import ConfigError, suggest
from videogen.core.types import Array, Batch, Params
from videogen.diffusion.flow import Velocity
from videogen.diffusion.frames import by_token, keep_given
from videogen.diffusion.guidance import guided
from videogen.diffusion.loss import FLOW, Target
from videogen.diffusion.sampler import Sampler
from videogen.diffusion.tasks import NAMES
from videogen.eval.given import files_of
from videogen.eval.video import contact_sheet, write_mp4
from videogen.models.conditions import bind
from videogen.nn.fence import Network
from videogen.nn.patch import token_grid

# (params, seeds_B, conditions, null conditions) -> frames_BTHWC uint8
SampleFn = Callable[[Params, Any, Batch, Batch], Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """What to sample and how; without prompts or labels, of the dataset's captions.

    task: of diffusion/tasks.py; but for "t2v" its frames are read from `given`, images or
        videos, one a prompt; for "keyframes" also two, first and last. See given.py.
    """

    prompts: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    task: str = "t2v"
    given: tuple[str, ...] = ()
    seed: int = 0
    guidance: float = 5.0
    method: str = "euler"
    num_steps: int = 50
    shift: float = 1.0
    schedule: str = "uniform"
    upscale: int = 1  # whole pixels, so that small clips can be looked at

    def __post_init__(self):
        if self.prompts and self.labels and len(self.prompts) != len(self.labels):
            raise ConfigError(
                f"sample.labels has {len(self.labels)} entries for "
                f"{len(self.prompts)} sample.prompts; give one each, or none"
            )
        if self.task not in NAMES:
            raise ConfigError(f"sample.task={self.task!r}{suggest(self.task, NAMES)}")
        if bool(self.given) != (self.task != "t2v"):
            raise ConfigError(
                f"sample.task={self.task!r} with {len(self.given)} files in sample.given: "
                f"'t2v' takes none, {', '.join(NAMES[1:])} an image or video a prompt"
            )
        if self.given and (count := len(self.prompts or self.labels)):
            files_of(self.task, self.given, count)
        if self.upscale < 1:
            raise ConfigError(f"sample.upscale={self.upscale} must be at least 1")
        self.sampler()  # its own complaints now, not at the first sample

    def sampler(self) -> Sampler:
        """The ODE solver of this config."""
        return Sampler(
            method=self.method,
            num_steps=self.num_steps,
            shift=self.shift,
            schedule=self.schedule,
        )


def make_sample_fn(
    network: Network,
    config: SampleConfig,
    latent_shape: tuple[int, int, int, int],
    decode: Callable[[Array], Array],
    target: Target = FLOW,
    patch: tuple[int, int, int] = (1, 1, 1),
) -> SampleFn:
    """Noise -> ODE -> pixels. `decode` takes z_BFHWC of unit variance to [-1, 1] pixels.

    Row i's noise depends on seeds_B[i] alone, so a prompt's sample does not depend on
    which prompts are sampled beside it. Where conditions hold given_BF and clean_BFHWC,
    those frames are clean, and stay so.
    """
    sampler, grid = config.sampler(), token_grid(latent_shape[:3], patch)

    def sample(
        params: Params,
        seeds_B: Array,
        conditions: Batch,
        null: Batch,
    ) -> Array:
        root = prng.key(config.seed, 0, "sample")
        keys = jax.vmap(lambda seed: jax.random.fold_in(root, seed))(seeds_B)
        noise = jax.vmap(lambda key: jax.random.normal(key, latent_shape))(keys)

        def of(told: Batch) -> Velocity:
            predict = bind(network, params, told)
            if "given_BF" not in told:
                return target.velocity(predict)
            velocity = target.velocity(by_token(predict, grid))
            return keep_given(velocity, told["clean_BFHWC"], told["given_BF"])

        velocity = guided(of(conditions), of(null), config.guidance)
        x_0 = sampler(velocity, noise, target.path.time, target.end)
        if "given_BF" in conditions:
            given = conditions["given_BF"][:, :, None, None, None]
            x_0 = jnp.where(given, conditions["clean_BFHWC"], x_0)
        pixels = decode(x_0)
        return jnp.round((jnp.clip(pixels, -1, 1) + 1) * 127.5).astype(jnp.uint8)

    return sample


def write_samples(
    directory: Path,
    videos: Sequence[np.ndarray],
    captions: Sequence[str],
    *,
    fps: float,
    upscale: int = 1,
    facts: dict[str, object] | None = None,
) -> None:
    """0000.mp4 ..., contact_sheet.png, samples.json (last) into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in (directory / "samples.json", *directory.glob("[0-9]*.mp4")):
        old.unlink(missing_ok=True)  # samples written before, perhaps more of them
    files = [f"{i:04d}.mp4" for i in range(len(videos))]
    for file, frames_THWC in zip(files, videos, strict=True):
        write_mp4(directory / file, frames_THWC, fps=fps, scale=upscale)
    contact_sheet(videos, captions).save(directory / "contact_sheet.png")
    entries = [
        {"file": file, "caption": caption}
        for file, caption in zip(files, captions, strict=True)
    ]
    record = {"samples": entries, "fps": fps, **(facts or {})}
    part = directory / ".samples.json"
    part.write_text(json.dumps(record, indent=2) + "\n")
    part.replace(directory / "samples.json")
