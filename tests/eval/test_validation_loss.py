"""The validation loss: exact where the answer is known, and a function of the clips."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from videogen.core.errors import ConfigError
from videogen.diffusion.loss import FLOW
from videogen.eval.validation_loss import (
    ValidationConfig,
    grid_noise,
    make_batch_loss,
    validate,
)
from videogen.nn.fence import Network
from videogen.train.state import TrainState

SHAPE = (2, 3, 3, 4)
NUM_CLIPS = 10
CONFIG = ValidationConfig(num_times=4, batch_size=4)
CONSTANT = 0.7


class Zero(nnx.Module):
    """v = 0."""

    def __init__(self, rngs):
        self.a = nnx.Param(jnp.zeros((1,)))

    def __call__(self, x_t, t_B, **conditions):
        return 0 * x_t


class Perfect(Zero):
    """v of data that is CONSTANT everywhere."""

    def __call__(self, x_t, t_B, **conditions):
        return (x_t - CONSTANT) / t_B[:, None, None, None, None]


class Labelled(Zero):
    """A velocity of the label, the time and x_t."""

    def __call__(self, x_t, t_B, *, label_B):
        gain_B = 0.1 * label_B + t_B + self.a[...]
        return jnp.sin(gain_B[:, None, None, None, None] * x_t)


def clips(value=None):
    latent = np.random.default_rng(0).standard_normal((NUM_CLIPS, *SHAPE), np.float32)
    return {
        "latent_BFHWC": latent if value is None else np.full_like(latent, value),
        "label_B": np.arange(NUM_CLIPS, dtype=np.int32),
        "id_B": np.arange(100, 100 + NUM_CLIPS, dtype=np.uint32),
        "weight_B": np.ones(NUM_CLIPS, np.float32),
    }


def take(batch, rows):
    return {name: leaf[rows] for name, leaf in batch.items()}


def batches(batch, size):
    """In order, the last one padded by repeating its last row with weight 0."""
    for start in range(0, NUM_CLIPS, size):
        rows = np.arange(start, start + size)
        made = take(batch, np.minimum(rows, NUM_CLIPS - 1))
        yield made | {"weight_B": (rows < NUM_CLIPS).astype(np.float32)}


@functools.cache
def compiled(module):
    return jax.jit(make_batch_loss(Network.of(module), lambda x: x, CONFIG))


def evaluate(module, some_batches, *, a=0.0, ema=0.0):
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        params={"a": jnp.full((1,), a)},
        opt_state=None,
        ema={"a": jnp.full((1,), ema)},
    )
    return validate(state, some_batches, compiled(module))


def noise_of(ids, k, seed=CONFIG.seed):
    return np.asarray(grid_noise(seed, jnp.asarray(ids), jnp.asarray(k), SHAPE))


def test_a_perfect_prediction_has_no_loss():
    values = evaluate(Perfect, [clips(CONSTANT)])
    assert values["loss"] == pytest.approx(0, abs=1e-9)
    assert values["loss_ema"] == pytest.approx(0, abs=1e-9)


def test_predicting_nothing_loses_the_velocity_itself():
    batch = clips()
    values = evaluate(Zero, [batch])
    for k in range(CONFIG.num_times):
        noise = noise_of(batch["id_B"], k)
        expected = float(np.mean((noise - batch["latent_BFHWC"]) ** 2))
        t = (k + 0.5) / CONFIG.num_times
        assert values[f"loss_ema/t={t:.2f}"] == pytest.approx(expected, rel=1e-6)
    times = [value for name, value in values.items() if "/t=" in name]
    assert len(times) == CONFIG.num_times
    assert values["loss_ema"] == pytest.approx(np.mean(times), rel=1e-12)
    assert values["loss"] == values["loss_ema"]
    # Noise has variance 1 and mean 0: the loss is near 1 + E[x_0^2].
    power = float(np.mean(batch["latent_BFHWC"] ** 2))
    assert values["loss"] == pytest.approx(1 + power, rel=0.1)


def test_the_weights_and_their_average_are_told_apart():
    values = evaluate(Labelled, [clips()], a=0.0, ema=0.5)
    assert values["loss"] != values["loss_ema"]
    assert values["loss"] == evaluate(Labelled, [clips()])["loss"]


@pytest.mark.parametrize("size", [1, 3, 4, 16])
def test_batches_of_any_size_and_padding_give_the_same(size):
    whole = evaluate(Labelled, [clips()])
    assert evaluate(Labelled, batches(clips(), size)) == pytest.approx(whole, rel=1e-6)


def test_the_order_of_clips_does_not_matter():
    whole = evaluate(Labelled, [clips()])
    order = np.random.default_rng(1).permutation(NUM_CLIPS)
    shuffled = evaluate(Labelled, [take(clips(), order)])
    assert shuffled == pytest.approx(whole, rel=1e-6)


def test_rows_of_weight_zero_do_not_count_whatever_they_hold():
    batch = clips()
    batch["weight_B"][6:] = 0
    expected = evaluate(Labelled, [take(batch, np.arange(6))])
    batch["latent_BFHWC"][6:] = 1e6
    assert evaluate(Labelled, [batch]) == pytest.approx(expected, rel=1e-6)


def test_the_noise_is_the_same_at_every_call_and_of_the_clip_and_time_alone():
    ids = np.array([5, 9, 7], np.uint32)
    first = noise_of(ids, 1)
    np.testing.assert_array_equal(first, noise_of(ids, 1))
    np.testing.assert_array_equal(first[::-1], noise_of(ids[::-1], 1))
    for seed, k in ((0, 2), (1, 1)):
        assert not np.any(first == noise_of(ids, k, seed=seed))
    assert evaluate(Labelled, [clips()]) == evaluate(Labelled, [clips()])


def test_a_config_that_evaluates_nothing_is_refused():
    with pytest.raises(ConfigError, match="validation.num_times=0"):
        ValidationConfig(num_times=0)
    with pytest.raises(ConfigError, match="validation.max_clips=-1"):
        ValidationConfig(max_clips=-1)


class First(Zero):
    """v = 0, but where a frame is told t = 0; and frame 0 must be as the data are."""

    def __call__(self, x_t, t_BN, **conditions):
        t_BF = t_BN.reshape(*x_t.shape[:2], -1)[..., 0]
        here = 100.0 * (t_BF == 0)[..., None, None, None]
        return 0 * x_t + here + (x_t[:, :1] - CONSTANT)


def test_a_first_frame_that_is_always_given_is_clean_and_not_counted():
    batch = clips(CONSTANT)
    loss = make_batch_loss(
        Network.of(First), lambda x: x, CONFIG, FLOW, clean_first=(1, 1, 1)
    )
    sums, _ = jax.jit(loss)({"a": jnp.zeros((1,))}, batch)
    for k, total in enumerate(sums):
        noise = noise_of(batch["id_B"], k)[:, 1:]
        expected = NUM_CLIPS * np.mean((noise - CONSTANT) ** 2)
        assert float(total) == pytest.approx(expected, rel=1e-5)
