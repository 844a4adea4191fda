"""The step: pure, deterministic, and unmoved by a gradient that is not finite."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from videogen.diffusion.loss import Target
from videogen.diffusion.parts import each
from videogen.diffusion.published import PUBLISHED
from videogen.diffusion.sound import Sound
from videogen.diffusion.tasks import TaskMix
from videogen.diffusion.time import TimeSampler
from videogen.nn.fence import Network
from videogen.nn.log_variance import PREFIX, LogVariance, init_beside
from videogen.parallel.host_memory import HOST
from videogen.train.optimizer import OptimizerConfig, make_optimizer
from videogen.train.state import make_init
from videogen.train.step import Objective, make_train_step

CONFIG = OptimizerConfig(learning_rate=0.1, warmup_steps=0, weight_decay=0.0)


class Scale(nnx.Module):
    """A network of one number: v = a x_t."""

    def __init__(self, rngs):
        self.a = nnx.Param(jnp.zeros((1,)))

    def __call__(self, x_t, t_B, **conditions):
        return self.a[...] * x_t


NETWORK = Network.of(Scale)


class TwiceScale(Scale):
    """The same, with channels for a variance."""

    def __call__(self, x_t, t_B, **conditions):
        y = super().__call__(x_t, t_B)
        return jnp.concatenate([y, 0 * y], axis=-1)


class Told(Scale):
    """A network that checks that each token has its own time, and predicts it."""

    def __call__(self, x_t, t_BN, **conditions):
        assert t_BN.shape == (4, 1 * 3 * 1)  # the patch is (2, 1, 3)
        return self.a[...] * x_t + t_BN.reshape(4, 1, 3, 1, 1)


class Seeing(Scale):
    """A network that notes what it is told."""

    told = []

    def __call__(self, x_t, t_B, **conditions):
        self.told.append(conditions)
        return super().__call__(x_t, t_B)


def make(seed=0, **parts):
    optimizer, log_variance = make_optimizer(CONFIG), parts.get("log_variance")
    fields = {"network": NETWORK, "time": TimeSampler(), "seed": seed, **parts}
    objective = Objective(normalise=lambda x: x, **fields)
    init = NETWORK.init
    if log_variance is not None:
        init = functools.partial(init_beside, NETWORK, log_variance)
    state = make_init(init, optimizer)(jax.random.key(0))
    return state, jax.jit(make_train_step(objective, optimizer, CONFIG))


def batch(value=None):
    latent = jax.random.normal(jax.random.key(1), (4, 2, 3, 3, 2))
    return {"latent_BFHWC": latent if value is None else jnp.full_like(latent, value)}


def test_the_same_state_and_batch_give_the_same_step():
    (state, step), (_, other) = make(), make()
    a, b = step(state, batch()), other(state, batch())
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_steps_differ_in_their_noise():
    state, step = make()
    later = dataclasses.replace(state, step=state.step + 1)
    assert step(state, batch())[1]["loss"] != step(later, batch())[1]["loss"]


def test_learning_lowers_the_loss():
    state, step = make()
    losses = []
    for _ in range(60):
        state, metrics = step(state, batch(0.0))
        losses.append(float(metrics["loss"]))
    # Data is 0, so v = noise = x_t / t; the best constant is E[t] / E[t^2].
    assert np.mean(losses[-10:]) < 0.5 * losses[0]
    assert int(state.step) == 60


def test_a_batch_that_is_not_finite_changes_only_the_step():
    state, step = make()
    state, _ = step(state, batch())
    new, metrics = step(state, batch(jnp.nan))
    assert int(metrics["skipped"]) == 1 and int(new.step) == int(state.step) + 1
    jax.tree.map(
        np.testing.assert_array_equal, dataclasses.replace(new, step=state.step), state
    )


def test_the_average_follows_the_weights():
    state, step = make()
    new, _ = step(state, batch())
    expected = state.ema["a"] + 0.9 * (new.params["a"] - state.ema["a"])
    np.testing.assert_allclose(new.ema["a"], expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["dit", "cogvideox_5b", "cosmos_predict1"])
def test_other_objectives_train(name):
    row = PUBLISHED[name]
    parts = {"time": row.time, "target": Target(row.objective)}
    state, step = make(network=Network.of(TwiceScale), **parts)
    for _ in range(3):
        state, metrics = step(state, batch())
        assert np.isfinite(metrics["loss"]) and int(metrics["skipped"]) == 0
    assert state.params["a"] != 0


def test_frames_have_their_times_and_given_ones_no_loss():
    """Of two frames the first is given: what is in it changes no loss of this network."""
    time = TimeSampler(chunk_frames=1, clean_frames=1)
    patch = (1, 1, 3)
    parts = {"time": time, "patch": patch, "network": Network.of(Scale)}
    state, step = make(**parts)
    loss = step(state, batch())[1]["loss"]
    changed = batch()
    changed["latent_BFHWC"] = changed["latent_BFHWC"].at[:, 0].set(7.0)
    assert step(state, changed)[1]["loss"] == loss
    changed["latent_BFHWC"] = changed["latent_BFHWC"].at[:, 1].set(7.0)
    assert step(state, changed)[1]["loss"] != loss


def test_a_network_is_told_a_time_per_token():
    time = TimeSampler(chunk_frames=1)
    state, step = make(time=time, patch=(2, 1, 3), network=Network.of(Told))
    assert np.isfinite(step(state, batch())[1]["loss"])


@pytest.mark.usefixtures("optimised")
def test_a_learned_log_variance_approaches_that_of_the_loss():
    """At its optimum exp(s) is the loss, and loss / exp(s) + s is 1 + log loss."""
    log_variance = Network.of(lambda rngs: LogVariance(rngs=rngs))
    parts = {"network": NETWORK, "log_variance": log_variance}
    (state, step), (plain, _) = make(**parts), make()
    plain_loss = make()[1](plain, batch(9.0))[1]["loss"]
    assert step(state, batch(9.0))[1]["loss"] == plain_loss  # s is 0 at first
    for _ in range(150):
        state, metrics = step(state, batch(9.0))
    assert state.params[PREFIX + "linear.kernel"].shape == (128, 1)
    assert float(metrics["loss"]) < 1.3 + np.log(float(plain_loss))


class Beside(Scale):
    """A network that knows the data of the frames that it is given, and no other."""

    def __call__(self, x_t, t_B, given_BFHWC, **conditions):
        mask, data = given_BFHWC[..., :1], given_BFHWC[..., 1:]
        t = t_B.reshape(-1, 1, 1, 1, 1)
        noise = (x_t - (1 - t) * data) / t
        return mask * (noise - data) + self.a[...] * x_t


def test_given_frames_stand_beside_the_latent():
    """Of two frames one is given: its velocity is known, half of the loss is gone."""
    batch = {"latent_BFHWC": jax.random.normal(jax.random.key(1), (4, 2, 16, 16, 3))}
    parts = {"network": Network.of(Beside), "given_channels": 4, "seed": 0}
    fields = {"normalise": lambda x: x, "time": TimeSampler(), **parts}
    losses = [
        float(
            Objective(**fields, tasks=tasks)({"a": jnp.zeros(1)}, batch, jnp.int32(0))
        )
        for tasks in (TaskMix(t2v=0.0, i2v=1.0), TaskMix(t2v=0.0, keyframes=1.0))
    ]
    assert losses[0] == pytest.approx(
        1.0, rel=0.2
    )  # of 2, the variance of noise - data
    assert losses[1] == pytest.approx(0.0, abs=1e-6)


class Clean(Scale):
    """A network that predicts the mean of the times it is told, of each row."""

    def __call__(self, x_t, t_BN, **conditions):
        assert (t_BN[:, : t_BN.shape[1] // 2] == 0).all()  # two frames, one given
        return self.a[...] * x_t


def test_given_frames_are_clean_and_not_learnt():
    with jax.disable_jit():
        batch = {"latent_BFHWC": jnp.ones((4, 2, 4, 4, 3))}
        tasks = TaskMix(t2v=0.0, i2v=1.0, how="clean")
        objective = Objective(
            network=Network.of(Clean),
            time=TimeSampler(),
            normalise=lambda x: x.at[:, 0].set(100.0),
            seed=0,
            tasks=tasks,
        )
        loss = objective({"a": jnp.zeros(1)}, batch, jnp.int32(0))
    assert loss == pytest.approx(2.0, rel=0.3)  # E (noise - 1)^2, of the second frame


class Marked(Clean):
    """It is told by a channel, too, which frames are given; the other is of padding."""

    def __call__(self, x_t, t_BN, given_BFHWC, **conditions):
        want = jnp.zeros((*x_t.shape[:-1], 2)).at[:, 0, ..., 0].set(1.0)
        assert (given_BFHWC == want).all()
        return super().__call__(x_t, t_BN)


@pytest.mark.parametrize("by", ["time", "tasks"])
def test_frames_that_are_clean_are_marked_for_a_network_that_asks(by):
    fields = {
        "time": {"time": TimeSampler(clean_frames=1)},
        "tasks": {
            "time": TimeSampler(),
            "tasks": TaskMix(t2v=0.0, i2v=1.0, how="clean"),
        },
    }[by]
    objective = Objective(
        network=Network.of(Marked),
        normalise=lambda x: x,
        seed=0,
        given_channels=2,
        marks_given=True,
        **fields,
    )
    with jax.disable_jit():
        batch = {"latent_BFHWC": jnp.ones((4, 2, 4, 4, 3))}
        assert objective({"a": jnp.zeros(1)}, batch, jnp.int32(0)) > 1


class Parts(Scale):
    """The network of one number, of every part; it checks what it is told."""

    def __call__(self, x_t, t, **conditions):
        if isinstance(t, dict):  # frames of the video have times of their own
            assert {name: x.shape for name, x in t.items()} == {
                "video": (4, 2 * 3 * 3),
                "audio": (4,),
            }
        return each(lambda x: self.a[...] * x, x_t)


def heard(*rows):
    audio = jax.random.normal(jax.random.key(2), (4, 5, 6))
    return {**batch(), "audio_BAC": audio, "heard_B": jnp.array(rows)}


def loss_with_sound(batch, weight=1.0, **parts):
    sound = Sound(normalise=lambda x: x, weight=weight)
    state, step = make(network=Network.of(Parts), sound=sound, **parts)
    return float(step(state, batch)[1]["loss"])


def test_sound_counts_where_it_is_heard_by_its_weight():
    state, step = make()
    silent = float(step(state, batch())[1]["loss"])
    assert loss_with_sound(heard(False, False, False, False)) == pytest.approx(silent)
    one, all_four, doubled = (
        loss_with_sound(heard(*rows), weight) - silent
        for rows, weight in (
            ([True, False, False, False], 1.0),
            ([True] * 4, 1.0),
            ([True] * 4, 2.0),
        )
    )
    assert 0 < one < all_four
    # A new network predicts zero: noise and data of variance 1 make an error near 2.
    assert all_four == pytest.approx(2, abs=0.6)
    assert doubled == pytest.approx(2 * all_four, rel=1e-4)


def test_sound_has_the_time_of_the_clip_when_frames_are_given():
    tasks = TaskMix(t2v=0.0, i2v=1.0, how="clean")
    assert loss_with_sound(heard(*[True] * 4), tasks=tasks) > 2


@pytest.mark.parametrize("time", [TimeSampler(), TimeSampler(chunk_frames=1)])
def test_parts_of_a_batch_make_the_same_step(time):
    """Rows have their own noise and times, however they are put together."""
    config = dataclasses.replace(CONFIG, microbatches=4)
    fields = {"network": NETWORK, "time": time, "seed": 0, "patch": (1, 1, 3)}
    objective = Objective(normalise=lambda x: x, **fields)
    state, whole = make(time=time, patch=(1, 1, 3))
    parts = jax.jit(make_train_step(objective, make_optimizer(config), config))
    (a, one), (b, four) = whole(state, batch()), parts(state, batch())
    np.testing.assert_allclose(one["loss"], four["loss"], rtol=1e-6)
    np.testing.assert_allclose(one["grad_norm"], four["grad_norm"], rtol=1e-5)
    np.testing.assert_allclose(a.params["a"], b.params["a"], rtol=1e-5)


@pytest.mark.parametrize("always", [False, True])
def test_rows_that_are_given_no_first_frame_are_told_no_image(always):
    """Unless the network knows no such thing; its validation gives it the frame too."""
    objective = Objective(
        network=Network.of(Seeing),
        time=TimeSampler(),
        normalise=lambda x: x,
        seed=3,
        tasks=TaskMix(t2v=1.0, i2v=1.0),
        given_channels=3,
        always_image=always,
    )
    latent = jnp.arange(144.0).reshape(4, 2, 3, 3, 2) / 144 + 1
    told = {"latent_BFHWC": latent, "image_BLX": jnp.ones((4, 5, 2), jnp.bfloat16)}
    first_B = np.array([True, False, True, False])
    drawn = {
        **{"noise": jnp.zeros_like(latent), "u": jnp.full(4, 0.5), "learn": None},
        "given_BF": jnp.stack([first_B, 0 * first_B], axis=1).astype(bool),
    }
    objective.loss({"a": jnp.zeros(1)}, told, drawn)
    seen = np.asarray(Seeing.told.pop()["image_BLX"], np.float32)
    want = np.broadcast_to((first_B | always)[:, None, None], (4, 5, 2))
    np.testing.assert_array_equal(seen, want)
    held_out = objective.held_out(told, latent)
    assert ("image_BLX" in held_out) == ("given_BFHWC" in held_out) == always
    if always:
        given = np.asarray(held_out["given_BFHWC"])
        assert (given[:, 0, ..., 0] == 1).all() and not given[:, 1:].any()
        np.testing.assert_array_equal(given[:, 0, ..., 1:], latent[:, 0])


def test_moments_on_the_host_make_the_same_steps_and_stay_there():
    """Two steps, and one that is not finite."""
    state, step = make()
    there = jax.devices()[0].addressable_memories()
    assert HOST in {memory.kind for memory in there}

    def sent(keys, leaf):
        kept = keys[0].name in ("opt_state", "ema") and leaf.ndim
        return leaf.sharding.with_memory_kind(HOST) if kept else leaf.sharding

    shardings = jax.tree_util.tree_map_with_path(sent, state)
    offloaded = jax.device_put(state, shardings)
    again = jax.jit(step, out_shardings=(shardings, None), donate_argnums=0)
    for clips in (batch(), batch(), batch(jnp.inf)):
        (state, one), (offloaded, two) = step(state, clips), again(offloaded, clips)
        jax.tree.map(np.testing.assert_array_equal, (state, one), (offloaded, two))
    jax.tree.map(
        lambda x, y: np.testing.assert_equal(x.sharding, y), offloaded, shardings
    )
    assert offloaded.averages["a"].sharding.memory_kind == "device"
