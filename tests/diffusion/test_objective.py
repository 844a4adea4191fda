"""An objective that cannot be is refused in one line that names its field."""

import pytest

from videogen.core.errors import ConfigError
from videogen.core.fields import fill
from videogen.diffusion.objective import ObjectiveConfig


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"path": "flwo"}, "objective.path='flwo'.*'flow'"),
        ({"predict": "velocty"}, "objective.predict='velocty'.*'velocity'"),
        ({"told": "steps"}, "objective.told='steps'.*'step'"),
        ({"weight": "min_snt"}, "objective.weight='min_snt'.*'min_snr'"),
        ({"betas": "linaer"}, "objective.betas='linaer'.*'linear'"),
        ({"sign": 0}, "objective.sign=0 must be 1 or -1"),
        ({"gamma": 0.0}, "objective.gamma=0.0 must be positive"),
        ({"told_scale": 0.0}, "objective.told_scale=0.0 must be positive"),
        ({"sigma_min": 1.0}, "objective.sigma_min=1.0 must be in"),
        ({"sigma_min": 1e-5, "path": "edm", "predict": "edm"}, "is of .*path='flow'"),
        ({"learn_sigma": True}, "objective.learn_sigma=True is of .*path='ddpm'"),
        ({"beta_range": (0.02, 1e-4)}, "objective.beta_range=.0.02, 0.0001. must rise"),
        ({"num_steps": 1}, "objective.num_steps=1: at least 2"),
        ({"path": "ddpm"}, "objective.predict='velocity' is of .*predicts 'v'"),
        (
            {"path": "ddpm", "predict": "noise", "zero_terminal_snr": True},
            "objective.predict='noise' with zero_terminal_snr.*predict 'v'",
        ),
        ({"told": "step"}, "objective.told='step' is of objective.path='ddpm'"),
        ({"told": "log_sigma"}, "objective.told='log_sigma' is of .*'edm', not 'flow'"),
        ({"noise": "v"}, "config.objective.noise: no such field"),
    ],
)
def test_bad_fields_are_named(fields, said):
    with pytest.raises(ConfigError, match=said):
        fill(ObjectiveConfig, fields, "config.objective")
