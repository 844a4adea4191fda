"""What a network is given, told and asked for: the objectives of published models.

    x_0 latents, u the model's own time (path.py), z what the network sees, told what it
    is told of u, y what it is asked for (prediction.py):

    loss = scale * mean over numbers of  weight(u) (network(z, told) - y)^2

told       value
time       u; of DDPM's steps too
data_time  1 - u: published with t = 1 at the data
step       (u T - 1) / 1000: the step's number, for networks that multiply time by 1000
log_sigma  ln(s) / 4, s = u / (1 - u) (EDM)

times `told_scale`. The defaults are rectified flow as flow.py has it.

`learn_sigma`: the network predicts 2 C channels, and the last C give the reverse step's
variance (variance.py; DiT, Latte). Without it a network may still have 2 C channels, of
which the last C are ignored (Open-Sora 1.2).
"""

import dataclasses

from videogen.core.errors import ConfigError, suggest
from videogen.diffusion import prediction, schedule, weight
from videogen.diffusion.path import DDPM, EDM, Flow, Path

PATHS = ("flow", "ddpm", "edm")
TOLD = ("time", "data_time", "step", "log_sigma")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """Which objective. `sign=-1`: the network predicts the negative.

    betas, beta_range, num_steps, snr_shift, zero_terminal_snr: of path "ddpm".
    sigma_data, sigma_max: of "edm"; sigma_min: of "flow". gamma: of weight "min_snr".
    learn_log_variance: loss / exp(s) + s, with s learnt of what the network is told
        (nn/log_variance.py; Cosmos, EDM2).
    audio_weight: of the sound's loss beside the video's, where both are diffused.
    """

    path: str = "flow"
    predict: str = "velocity"
    sign: int = 1
    told: str = "time"
    told_scale: float = 1.0
    weight: str = "none"
    gamma: float = 5.0
    scale: float = 1.0
    sigma_min: float = 0.0
    betas: str = "linear"
    beta_range: tuple[float, float] = (1e-4, 0.02)
    num_steps: int = 1000
    snr_shift: float = 1.0
    zero_terminal_snr: bool = False
    learn_sigma: bool = False
    learn_log_variance: bool = False
    sigma_data: float = 0.5
    sigma_max: float = 80.0
    audio_weight: float = 1.0

    def __post_init__(self) -> None:
        for field, options in _NAMES.items():
            name = getattr(self, field)
            if name not in options:
                raise ConfigError(f"objective.{field}={name!r}{suggest(name, options)}")
        self._check_numbers()
        self._check_together()

    def path_of(self) -> Path:
        """From data to noise."""
        if self.path == "flow":
            return Flow(sigma_min=self.sigma_min)
        if self.path == "edm":
            return EDM(sigma_data=self.sigma_data, sigma_max=self.sigma_max)
        return DDPM(
            betas=self.betas,
            num_steps=self.num_steps,
            beta=self.beta_range,
            snr_shift=self.snr_shift,
            zero_terminal_snr=self.zero_terminal_snr,
        )

    def _check_numbers(self) -> None:
        if self.sign not in (-1, 1):
            raise ConfigError(f"objective.sign={self.sign} must be 1 or -1")
        for field in _POSITIVE:
            if getattr(self, field) <= 0:
                raise ConfigError(
                    f"objective.{field}={getattr(self, field)} must be positive"
                )
        if not 0 <= self.sigma_min < 1:
            raise ConfigError(f"objective.sigma_min={self.sigma_min} must be in [0, 1)")
        first, last = self.beta_range
        if not 0 < first <= last < 1:
            raise ConfigError(
                f"objective.beta_range={self.beta_range} must rise within (0, 1)"
            )
        if self.num_steps < 2:
            raise ConfigError(f"objective.num_steps={self.num_steps}: at least 2")

    def _check_together(self) -> None:
        homes = {
            "sigma_min": "flow",
            "learn_sigma": "ddpm",
            "zero_terminal_snr": "ddpm",
        }
        for field, path in homes.items():
            if getattr(self, field) and self.path != path:
                raise ConfigError(
                    f"objective.{field}={getattr(self, field)} is of objective.path="
                    f"{path!r}, not {self.path!r}"
                )
        if self.predict == "noise" and self.zero_terminal_snr:
            raise ConfigError(
                "objective.predict='noise' with zero_terminal_snr: at the last step noise "
                "says nothing of the data; predict 'v'"
            )
        if self.predict == "velocity" and self.path != "flow":
            raise ConfigError(
                f"objective.predict='velocity' is of objective.path='flow', not "
                f"{self.path!r}; its network predicts 'v'"
            )
        tells = {"step": "ddpm", "log_sigma": "edm"}
        if tells.get(self.told, self.path) != self.path:
            raise ConfigError(
                f"objective.told={self.told!r} is of objective.path="
                f"{tells[self.told]!r}, not {self.path!r}"
            )


_POSITIVE = (
    *("gamma", "scale", "told_scale", "snr_shift"),
    *("sigma_data", "sigma_max", "audio_weight"),
)
_NAMES = {
    "path": PATHS,
    "predict": prediction.NAMES,
    "told": TOLD,
    "weight": weight.NAMES,
    "betas": schedule.KINDS,
}
