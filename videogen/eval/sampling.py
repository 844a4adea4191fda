"""Fixed prompts and seeds -> videos, by the averaged weights."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from videogen.core import prng
from videogen.core.errors import ConfigError, suggest
from videogen.core.types import Array, Batch, Params, Parts
from videogen.diffusion.flow import Velocity
from videogen.diffusion.frames import by_token, keep_given
from videogen.diffusion.guidance import guided, switched
from videogen.diffusion.loss import FLOW, Target
from videogen.diffusion.parts import each, video_of, with_video
from videogen.diffusion.sampler import Sampler
from videogen.diffusion.tasks import NAMES
from videogen.eval.given import files_of
from videogen.eval.video import contact_sheet, write_mp4
from videogen.models.conditions import bind
from videogen.nn.fence import Network
from videogen.nn.patch import token_grid

# (params, seeds_B, conditions, null conditions, params of the low-noise expert or None) ->
# frames_BTHWC uint8, or of parts that and sound_BS
SampleFn = Callable[..., Parts]
Shape = tuple[int, ...]
STREAMS = {"video": "sample", "audio": "audio_sample"}  # of the noise


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """uint8 frames, and the sound beside them in [-1, 1]; None: there is none."""

    frames_THWC: np.ndarray
    sound_S: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """What to sample and how; without prompts or labels, of the dataset's captions.

    task: of diffusion/tasks.py; but for "t2v" its frames are read from `given`, images or
        videos, one a prompt; for "keyframes" also two, first and last. See given.py.
    boundary: of two experts by noise level (`videogen sample --low_noise`), the time t from
        which up the run's own network is asked, and below it the other, which is guided by
        `low_guidance` (None: by `guidance` too); 0: there is one network.
    """

    prompts: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    task: str = "t2v"
    given: tuple[str, ...] = ()
    seed: int = 0
    guidance: float = 5.0
    boundary: float = 0.0
    low_guidance: float | None = None
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
        if not 0 <= self.boundary < 1:
            raise ConfigError(f"sample.boundary={self.boundary} must be in [0, 1)")
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
    latent_shape: Shape | dict[str, Shape],
    decode: Callable[[Parts], Parts],
    target: Target = FLOW,
    patch: tuple[int, int, int] = (1, 1, 1),
) -> SampleFn:
    """Noise -> ODE -> pixels. `decode` takes z_BFHWC of unit variance to [-1, 1] pixels;
    of parts, whose shapes are then a dict, also z_BAC to sound_BS.

    Row i's noise depends on seeds_B[i] alone, so a prompt's sample does not depend on
    which prompts are sampled beside it. Where conditions hold given_BF and clean_BFHWC,
    those frames are clean, and stay so. With `low`, a second set of the network's parameters,
    that expert takes the steps below config.boundary; both are held at once.
    """
    sampler = config.sampler()
    is_parts = isinstance(latent_shape, dict)
    streams = STREAMS if is_parts else STREAMS["video"]
    video_shape = latent_shape["video"] if is_parts else latent_shape
    f, h, w = video_shape[:3]
    grid = token_grid((f, h, w), patch)

    def velocity_of(params: Params, told: Batch) -> Velocity:
        predict = bind(network, params, told)
        if "given_BF" not in told:
            return target.velocity(predict)
        velocity = target.velocity(by_token(predict, grid))
        return keep_given(velocity, told["clean_BFHWC"], told["given_BF"])

    def sample(
        params: Params,
        seeds_B: Array,
        conditions: Batch,
        null: Batch,
        low: Params | None = None,
    ) -> Parts:
        noise = each(
            lambda shape, stream: _noise(config.seed, stream, seeds_B, shape),
            *(latent_shape, streams),
        )

        def expert(params: Params, guidance: float) -> Velocity:
            velocity, unconditional = (
                velocity_of(params, told) for told in (conditions, null)
            )
            return guided(velocity, unconditional, guidance)

        velocity = expert(params, config.guidance)
        if low is not None:
            low_guidance = config.low_guidance
            if low_guidance is None:
                low_guidance = config.guidance
            below = expert(low, low_guidance)
            velocity = switched(velocity, below, config.boundary)
        x_0 = sampler(velocity, noise, target.path.time, target.end)
        if "given_BF" in conditions:
            given = conditions["given_BF"][:, :, None, None, None]
            video = jnp.where(given, conditions["clean_BFHWC"], video_of(x_0))
            x_0 = with_video(x_0, video)
        made = decode(x_0)
        levels = jnp.round((jnp.clip(video_of(made), -1, 1) + 1) * 127.5)
        return with_video(made, levels.astype(jnp.uint8))

    return sample


def _noise(seed: int, stream: str, seeds_B: Array, shape: Shape) -> Array:
    root = prng.key(seed, 0, stream)
    keys = jax.vmap(lambda seed: jax.random.fold_in(root, seed))(seeds_B)
    return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def write_samples(
    directory: Path,
    samples: Sequence[Sample],
    captions: Sequence[str],
    *,
    fps: float,
    sound_rate: int = 0,
    upscale: int = 1,
    facts: dict[str, object] | None = None,
) -> None:
    """0000.mp4 ..., contact_sheet.png, samples.json (last) into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in (directory / "samples.json", *directory.glob("[0-9]*.mp4")):
        old.unlink(missing_ok=True)  # samples written before, perhaps more of them
    files = [f"{i:04d}.mp4" for i in range(len(samples))]
    for file, sample in zip(files, samples, strict=True):
        sound = {"sound_S": sample.sound_S, "sound_rate": sound_rate}
        path, frames_THWC = directory / file, sample.frames_THWC
        write_mp4(path, frames_THWC, fps=fps, scale=upscale, **sound)
    contact_sheet([sample.frames_THWC for sample in samples], captions).save(
        directory / "contact_sheet.png"
    )
    entries = [
        {"file": file, "caption": caption}
        for file, caption in zip(files, captions, strict=True)
    ]
    record = {"samples": entries, "fps": fps, **(facts or {})}
    part = directory / ".samples.json"
    part.write_text(json.dumps(record, indent=2) + "\n")
    part.replace(directory / "samples.json")
