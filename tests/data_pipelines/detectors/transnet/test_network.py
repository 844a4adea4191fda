"""The parts of the network, beside plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.detectors.transnet.network import (
    REACH,
    alike,
    along_time,
    colour_histograms,
    halved,
    network,
)
from data_pipelines.detectors.transnet.weights import arrange

RNG = np.random.default_rng(0)


def test_numbers_for_every_frame(tensors):
    frames = RNG.integers(0, 256, (2, 11, 27, 48, 3), dtype=np.uint8)
    run = jax.jit(network)
    middle_BT, all_BT = run(arrange(tensors), frames)
    assert middle_BT.shape == all_BT.shape == (2, 11)
    turned, _ = run(arrange(tensors), frames[::-1])
    np.testing.assert_allclose(middle_BT, turned[::-1], rtol=1e-4, atol=1e-4)


def test_time_at_a_dilation():
    x = RNG.normal(size=(1, 9, 1, 1, 2)).astype(np.float32)
    kernel = RNG.normal(size=(3, 2, 4)).astype(np.float32)
    found = np.asarray(along_time(jnp.asarray(x), jnp.asarray(kernel), 4))
    for t in range(9):
        wanted = sum(
            x[0, t + step, 0, 0] @ kernel[place]
            for place, step in enumerate((-4, 0, 4))
            if 0 <= t + step < 9
        )
        np.testing.assert_allclose(found[0, t, 0, 0], wanted, rtol=1e-5, atol=1e-5)


def test_histograms():
    frames = RNG.integers(0, 256, (1, 3, 27, 48, 3), dtype=np.uint8)
    found = np.asarray(colour_histograms(jnp.asarray(frames)))
    for t in range(3):
        cells, _ = np.histogramdd(frames[0, t].reshape(-1, 3), 8, [(0, 256)] * 3)
        wanted = cells.ravel() / np.linalg.norm(cells)
        np.testing.assert_allclose(found[0, t], wanted, rtol=1e-5)


def test_likeness_is_of_neighbours():
    x = RNG.normal(size=(1, 60, 3)).astype(np.float32)
    eye = {"kernel": jnp.eye(2 * REACH + 1), "bias": jnp.zeros(2 * REACH + 1)}
    found = np.asarray(alike(eye, jnp.asarray(x)))
    for t, place in ((0, 49), (0, 50), (0, 51), (59, 51), (30, 7), (3, 100), (59, 0)):
        other = t + place - REACH
        wanted = x[0, t] @ x[0, other] if 0 <= other < 60 else 0.0
        assert found[0, t, place] == pytest.approx(max(0.0, wanted), abs=1e-5)


def test_an_odd_row_is_left_out():
    x = jnp.arange(15.0).reshape(1, 1, 3, 5, 1)
    assert halved(x)[0, 0, :, :, 0].tolist() == [[3.0, 5.0]]
