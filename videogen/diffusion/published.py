"""Objectives of published models, in our direction of time.

`assumed` says what is not published, or not checked. Where a network does not multiply the
time that it is told by 1000 (EDM's, Cosmos's), its model knows that.
"""

import dataclasses
from typing import Any

from videogen.diffusion.objective import ObjectiveConfig
from videogen.diffusion.sampler import Sampler
from videogen.diffusion.time import TimeSampler


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedObjective:
    """What `config.objective` and `config.time` say, and how its source samples."""

    objective: ObjectiveConfig = ObjectiveConfig()
    time: TimeSampler = TimeSampler()
    sampler: Sampler = Sampler()
    source: str
    assumed: tuple[str, ...] = ()


_UNIFORM = TimeSampler(kind="uniform")
_REVERSED: dict[str, Any] = {"sign": -1, "told": "data_time"}  # t = 1 at the data
_DIT = PublishedObjective(
    objective=ObjectiveConfig(
        path="ddpm", predict="noise", told="step", learn_sigma=True
    ),
    time=_UNIFORM,
    source="arXiv 2212.09748; facebookresearch/DiT diffusion/",
)


def _cogvideox(snr_shift: float) -> PublishedObjective:
    return PublishedObjective(
        objective=ObjectiveConfig(
            path="ddpm",
            predict="v",
            told="step",
            weight="inverse_noise",
            betas="scaled_linear",
            beta_range=(0.00085, 0.012),
            snr_shift=snr_shift,
            zero_terminal_snr=True,
        ),
        time=TimeSampler(kind="uniform", stratified=True),
        source="arXiv 2408.06072; THUDM/CogVideo sat/",
    )


def _flow(shift: float, source: str, *assumed: str, **time: Any) -> PublishedObjective:
    """noise - data; logit-normal, unless said; sampled with a shift."""
    return PublishedObjective(
        time=TimeSampler(**time),
        sampler=Sampler(shift=shift),
        source=source,
        assumed=assumed,
    )


_LINEAR_QUADRATIC = Sampler(num_steps=50, schedule="linear_quadratic")

PUBLISHED: dict[str, PublishedObjective] = {
    "dit": _DIT,
    "latte": dataclasses.replace(_DIT, source="arXiv 2401.03048; Vchitect/Latte"),
    "sit": PublishedObjective(
        objective=ObjectiveConfig(**_REVERSED, told_scale=1e-3),
        time=_UNIFORM,
        source="arXiv 2401.08740; willisma/SiT transport/",
        assumed=("time is embedded without a factor of 1000",),
    ),
    "walt": PublishedObjective(
        objective=ObjectiveConfig(
            path="ddpm", predict="v", told="step", zero_terminal_snr=True
        ),
        time=_UNIFORM,
        source="arXiv 2312.06662 (text to video; classes without zero terminal SNR)",
        assumed=("no self-conditioning",),
    ),
    "open_sora_1_2": PublishedObjective(
        objective=ObjectiveConfig(sign=-1),
        time=TimeSampler(
            shift_rule="sqrt", shift_tokens=(1024, 4096), shift_frames=True
        ),
        source="hpcaitech/Open-Sora v1.2.0 opensora/schedulers/rf; 1024 tokens: 512 x 512",
    ),
    "open_sora_2": PublishedObjective(
        objective=ObjectiveConfig(sigma_min=1e-5),
        time=TimeSampler(shift_rule="linear", shift_frames=True),
        source="arXiv 2503.09642; hpcaitech/Open-Sora scripts/diffusion/train.py",
    ),
    "open_sora_plan_1_3": PublishedObjective(
        objective=ObjectiveConfig(
            path="ddpm",
            predict="v",
            told="step",
            weight="min_snr",
            zero_terminal_snr=True,
        ),
        time=_UNIFORM,
        source="arXiv 2412.00131; Report-v1.3.0",
        assumed=("betas linear, 1e-4 to 0.02", "uniform time"),
    ),
    "open_sora_plan_1_5": _flow(
        *(1.0, "Report-v1.5.0"), shift_rule="exp", shift_range=(0.5, 1.15)
    ),
    "cogvideox_2b": _cogvideox(3.0),
    "cogvideox_5b": _cogvideox(1.0),
    # Data - noise, of 1 - t: both are turned in models/mochi, by its weights and itself.
    "mochi": PublishedObjective(
        time=_UNIFORM,
        sampler=dataclasses.replace(_LINEAR_QUADRATIC, num_steps=64),
        source="genmoai/mochi demos/fine_tuner",
        assumed=("pre-training as the released fine-tuner",),
    ),
    "ltx": _flow(
        *(1.0, "arXiv 2501.00103; Lightricks/LTX-Video-Trainer"),
        *("clamp: samples beyond the quantiles are set to them",),
        shift_rule="exp",
        shift_tokens=(1024, 4096),
        shift_range=(0.95, 2.05),
        clamp=(0.005, 0.999),
    ),
    "hunyuan_video": _flow(7.0, "arXiv 2412.03603"),
    "wan": _flow(5.0, "arXiv 2503.20314 (720p; 480p: 3)"),
    "step_video": PublishedObjective(
        objective=ObjectiveConfig(**_REVERSED),
        time=_UNIFORM,
        sampler=Sampler(shift=13.0),
        source="arXiv 2502.10248, (5) and (6); stepfun-ai/Step-Video-T2V",
        assumed=("uniform time",),
    ),
    # Data - noise, of 1 - t: both are turned in models/magi, by its weights and itself.
    "magi": PublishedObjective(
        time=TimeSampler(std=0.5, shift=3.0, chunk_frames=6),
        source="arXiv 2505.13211, section 2.2",
        assumed=(
            "times of chunks are drawn alike and sorted",
            "no clean chunks: their share is not published (noise of at most 5 % is)",
        ),
    ),
    "cosmos_predict1": PublishedObjective(
        objective=ObjectiveConfig(
            path="edm",
            predict="edm",
            told="log_sigma",
            weight="inverse_noise",
            scale=10.0,
            learn_log_variance=True,
        ),
        time=TimeSampler(shift_frames=True),
        sampler=Sampler(num_steps=35, schedule="karras", method="heun"),
        source="arXiv 2501.03575; nvidia-cosmos/cosmos-predict1",
        assumed=(
            "35 steps of Heun's method",
            "log variance as EDM2's, of 128 features",
        ),
    ),
    "cosmos_predict2": PublishedObjective(
        time=TimeSampler(shift_frames=True, clean_frames=2),
        sampler=Sampler(num_steps=35, schedule="karras", method="heun"),
        source="nvidia-cosmos/cosmos-predict2 module/denoiser_scaling.py",
        assumed=("35 steps of Heun's method", "no 5 % of high noise"),
    ),
    "cosmos_predict2_5": _flow(5.0, "nvidia-cosmos/cosmos-predict2.5"),
    "allegro": PublishedObjective(
        objective=ObjectiveConfig(path="ddpm", predict="noise", told="step"),
        time=_UNIFORM,
        source="arXiv 2410.15458",
        assumed=("betas linear, 1e-4 to 0.02", "uniform time"),
    ),
    "movie_gen": PublishedObjective(
        objective=ObjectiveConfig(**_REVERSED, sigma_min=1e-5),
        sampler=_LINEAR_QUADRATIC,
        source="arXiv 2410.13720, sections 3.1.2 and 3.4.2",
    ),
    "goku": PublishedObjective(
        objective=ObjectiveConfig(**_REVERSED),
        source="arXiv 2502.04896",
        assumed=("logit-normal time",),
    ),
    "snap_video": PublishedObjective(
        objective=ObjectiveConfig(
            path="edm", predict="edm", told="log_sigma", weight="inverse_noise"
        ),
        time=TimeSampler(mean=-1.2, std=1.2, shift_frames=True),
        source="arXiv 2402.14797",
        assumed=("sigma_data 0.5, and EDM's mean and deviation of ln sigma",),
    ),
}
