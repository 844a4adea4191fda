"""What is diffused in parts is, for each part, what it would be alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.diffusion.guidance import guided
from videogen.diffusion.loss import Target
from videogen.diffusion.objective import ObjectiveConfig
from videogen.diffusion.parts import batch_size, each, video_of
from videogen.diffusion.sampler import Sampler

SHAPES = {"video": (2, 3, 4, 4, 2), "audio": (2, 5, 6)}


def draw(seed):
    return {
        name: jax.random.normal(jax.random.fold_in(jax.random.key(seed), i), shape)
        for i, (name, shape) in enumerate(SHAPES.items())
    }


X_0, NOISE = draw(0), draw(1)
U_B = jnp.array([0.3, 0.8])
OBJECTIVES = [
    ObjectiveConfig(),
    ObjectiveConfig(path="ddpm", predict="v"),
    ObjectiveConfig(path="edm", predict="edm", told="log_sigma"),
]


def predict(z, told):
    """A network that sees each part for itself."""
    return each(lambda z, told: jnp.tanh(z) * jnp.mean(told), z, told)


@pytest.mark.parametrize("config", OBJECTIVES, ids=lambda config: config.path)
def test_losses_errors_and_velocities_are_those_of_each_part(config):
    target = Target(config)
    u_B = target.path.draw(U_B)
    whole = {
        "loss": target.loss(predict, X_0, NOISE, u_B),
        "error": target.error(predict, X_0, NOISE, u_B),
        "velocity": target.velocity(predict)(NOISE, U_B),
    }
    for name in SHAPES:
        x_0, noise = X_0[name], NOISE[name]
        alone = {
            "loss": target.loss(predict, x_0, noise, u_B),
            "error": target.error(predict, x_0, noise, u_B),
            "velocity": target.velocity(predict)(noise, U_B),
        }
        for what, value in alone.items():
            np.testing.assert_array_equal(whole[what][name], value, err_msg=what)


def test_parts_may_be_told_times_of_their_own():
    u = {"video": jnp.array([[0.0, 0.3, 0.3], [0.0, 0.8, 0.8]]), "audio": U_B}
    learn = {"video": u["video"] > 0, "audio": None}
    told = []

    def seen(z, t):
        told.append(t)
        return each(lambda z: 0 * z, z)

    loss = Target().loss(seen, X_0, NOISE, u, learn)
    assert {name: t.shape for name, t in told[0].items()} == {
        "video": (2, 3),
        "audio": (2,),
    }
    want = jnp.square(NOISE["video"] - X_0["video"])[:, 1:].mean((1, 2, 3, 4))
    np.testing.assert_allclose(loss["video"], want, rtol=1e-5)
    want = jnp.square(NOISE["audio"] - X_0["audio"]).mean((1, 2))
    np.testing.assert_allclose(loss["audio"], want, rtol=1e-5)


@pytest.mark.parametrize("method", ["euler", "heun"])
def test_one_ode_solves_all_parts(method):
    sampler = Sampler(method=method, num_steps=3)
    velocity = guided(predict, lambda x, t: each(lambda x: x / 2, x), 1.5)
    whole = sampler(velocity, NOISE)
    for name in SHAPES:
        alone = sampler(velocity, NOISE[name])
        np.testing.assert_allclose(whole[name], alone, rtol=1e-6, atol=1e-6)


def test_of_one_array_and_of_parts():
    assert (batch_size(X_0), batch_size(X_0["audio"])) == (2, 2)
    assert video_of(X_0) is video_of(X_0["video"]) is X_0["video"]
    shared = each(lambda x, y, z: (x, y, z), {"a": 1, "b": 2}, {"a": 3, "b": 4}, 5)
    assert shared == {"a": (1, 3, 5), "b": (2, 4, 5)}
