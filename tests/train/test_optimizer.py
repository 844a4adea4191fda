"""Schedules, the decay mask and the EMA's warm-up."""

import jax.numpy as jnp
import numpy as np
import pytest

from videogen.core.errors import ConfigError
from videogen.train.optimizer import (
    OptimizerConfig,
    decay_mask,
    ema_decay_at,
    make_optimizer,
    make_schedule,
)


def test_warmup_is_linear_then_constant():
    schedule = make_schedule(OptimizerConfig(learning_rate=1.0, warmup_steps=10))
    np.testing.assert_allclose([schedule(s) for s in (0, 5, 10, 999)], [0, 0.5, 1, 1])


def test_cosine_ends_at_its_factor():
    schedule = make_schedule(
        OptimizerConfig(
            learning_rate=2.0, schedule="cosine", warmup_steps=10, decay_steps=100
        )
    )
    np.testing.assert_allclose([schedule(10), schedule(100)], [2.0, 0.2], rtol=1e-6)


def test_only_kernels_decay():
    params = {
        "a.kernel": jnp.ones((2, 2)),
        "a.bias": jnp.ones(2),
        "n.scale": jnp.ones(2),
    }
    assert decay_mask(params) == {"a.kernel": True, "a.bias": False, "n.scale": False}
    config = OptimizerConfig(learning_rate=0.1, warmup_steps=0, weight_decay=0.5)
    optimizer = make_optimizer(config)
    zeros = {name: jnp.zeros_like(value) for name, value in params.items()}
    updates, _ = optimizer.update(zeros, optimizer.init(params), params)
    np.testing.assert_allclose(updates["a.kernel"], -0.05)
    np.testing.assert_array_equal(updates["a.bias"], 0)


def test_a_huge_gradient_is_clipped_before_adam():
    config = OptimizerConfig(learning_rate=0.1, warmup_steps=0, weight_decay=0.0)
    optimizer, params = make_optimizer(config), {"a.kernel": jnp.zeros((2, 2))}
    grads = {"a.kernel": jnp.full((2, 2), 1e20)}
    updates, state = optimizer.update(grads, optimizer.init(params), params)
    assert jnp.isfinite(updates["a.kernel"]).all()
    assert float(jnp.linalg.norm(state[1][0].mu["a.kernel"])) < 0.2


def test_the_average_of_a_short_run_forgets_its_start():
    config = OptimizerConfig(ema_decay=0.999)
    steps = jnp.array([0, 90, 10**6])
    np.testing.assert_allclose(
        ema_decay_at(config, steps), [0.1, 0.91, 0.999], rtol=1e-6
    )


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(schedule="cosin"), "did you mean 'cosine'"),
        (dict(schedule="cosine", warmup_steps=9, decay_steps=9), "decay_steps=9 must"),
        (dict(ema_decay=1.0), "ema_decay=1.0"),
    ],
)
def test_bad_fields_are_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        OptimizerConfig(**fields)


def test_a_stage_s_schedule_begins_at_its_first_step():
    config = OptimizerConfig(
        learning_rate=2.0, schedule="cosine", warmup_steps=10, decay_steps=100
    )
    ours, later = make_schedule(config), make_schedule(config, start=1000)
    for step in (0, 5, 10, 60, 100):
        assert float(later(1000 + step)) == float(ours(step))
    # The optimiser's own count lags where steps were skipped.
    assert float(later(990)) == float(ours(0))
    constant = OptimizerConfig(learning_rate=1.0, warmup_steps=0)
    assert float(make_schedule(constant, start=7)(5)) == 1.0


def test_muon_turns_a_blocks_matrices_and_leaves_the_rest_to_adam():
    """Steps of a matrix have one singular value; each layer of a stack is its own matrix."""
    config = OptimizerConfig(
        name="muon", learning_rate=0.1, warmup_steps=0, weight_decay=0.0
    )
    shapes = {"blocks.q.kernel": (2, 8, 4), "out.kernel": (8, 4), "blocks.bias": (2, 4)}
    rng = np.random.default_rng(0)
    grads = {
        k: jnp.asarray(rng.standard_normal(s), "float32") for k, s in shapes.items()
    }
    params = {name: jnp.zeros(shape) for name, shape in shapes.items()}
    muon, adam = (
        make_optimizer(config),
        make_optimizer(
            OptimizerConfig(learning_rate=0.1, warmup_steps=0, weight_decay=0.0)
        ),
    )
    updates, _ = muon.update(grads, muon.init(params), params)
    theirs, _ = adam.update(grads, adam.init(params), params)
    for step in updates["blocks.q.kernel"]:
        sizes = jnp.linalg.svd(step, compute_uv=False)
        assert sizes.max() < 1.7 * sizes.min()
        rms = float(jnp.sqrt(jnp.mean(step**2)))
        assert rms == pytest.approx(0.1 * 0.2, rel=0.2)
    np.testing.assert_allclose(updates["blocks.bias"], theirs["blocks.bias"], rtol=1e-6)
    np.testing.assert_allclose(updates["out.kernel"], theirs["out.kernel"], rtol=1e-6)


def test_moments_may_be_kept_in_bfloat16():
    config = OptimizerConfig(moments="bfloat16", learning_rate=0.1, warmup_steps=0)
    whole = OptimizerConfig(learning_rate=0.1, warmup_steps=0)
    params = {"a.kernel": jnp.ones((8, 8))}
    grads = {"a.kernel": jnp.linspace(-1, 1, 64).reshape(8, 8)}
    steps = []
    for each in (config, whole):
        optimizer = make_optimizer(each)
        updates, state = optimizer.update(grads, optimizer.init(params), params)
        updates, _ = optimizer.update(grads, state, params)
        steps.append(updates["a.kernel"])
    np.testing.assert_allclose(*steps, rtol=0.02, atol=1e-3)
