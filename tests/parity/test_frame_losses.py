"""Losses of clips whose frames differ: given ones clean, or beside the noise; a batch's mix.

As in test_losses.py, but of the training step's own objective, which draws what is given.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from paper_losses import clean_frames, flow
from parity.harness import check, tensor, twin_of

from videogen.diffusion.tasks import TaskMix
from videogen.diffusion.time import TimeSampler
from videogen.nn.fence import Network
from videogen.train.step import Objective

pytestmark = pytest.mark.parity
STEP = jnp.int32(6)


class Told(Network):
    """Not run on parameters: the twin's network of ours, told what the twin tells, and more."""

    def __init__(self, twin, velocity):
        object.__setattr__(self, "parts", (twin, velocity))

    def apply(self, params, z, t, **conditions):
        twin, velocity = self.parts

        def network(*args, **more):
            return velocity(*args, **(more | conditions))

        return twin.ours(network, z, t)


def objective_of(twin, velocity=None, **fields) -> Objective:
    """The training step's loss of the twin. velocity: its network of ours."""
    fields |= {"network": Told(twin, velocity), "normalise": lambda x: x, "seed": 0}
    return Objective(patch=twin.config.patch, **fields)


def compare(twin, draws, theirs, **fields):
    """`theirs` (model) and the training step's, of what the step drew."""
    batch = {"latent_BFHWC": jnp.asarray(twin.latent(2))}

    def ours(velocity):
        return objective_of(twin, velocity, **fields).loss({}, batch, draws)

    check(twin, lambda model: theirs(model).mean()[None], lambda v: ours(v)[None])


def drawn(twin, **fields):
    batch = {"latent_BFHWC": jnp.asarray(twin.latent(2))}
    draws = objective_of(twin, **fields).draw(batch, STEP)
    return draws | {"noise": jnp.asarray(twin.latent(3))}


def frames_given(draws) -> np.ndarray:
    """Of unlike rows: one clip at least is given nothing, and one something."""
    learn, given = draws["learn"], draws["given_BF"]
    given_BF = np.asarray(given) if learn is None else ~np.asarray(learn)
    assert 0 < given_BF.any(1).sum() < len(given_BF)
    return given_BF


@pytest.mark.parametrize(
    "fields",
    [
        {"time": TimeSampler(clean_frames=1, clean_rows=0.5)},
        {"time": TimeSampler(), "tasks": TaskMix(i2v=1.0, backward=1.0, how="clean")},
    ],
    ids=["first_frames", "tasks"],
)
def test_given_frames_are_clean_told_zero_and_not_learnt(fields):
    """Wan2.2 TI2V-5B: a time for each token."""
    twin = twin_of("cross.wan")
    draws = drawn(twin, **fields)
    given_BF = frames_given(draws)
    t_B = np.asarray(draws["u"]).max(1)  # of the frames that are not clean
    x, noise = tensor(twin.latent(2)), tensor(twin.latent(3))
    _, height, width = twin.sizes
    tokens = height * width // 4  # of a frame

    def theirs(model):
        def network(z, told_BF):
            return twin.theirs(model, z, told_BF.repeat_interleave(tokens, 1))

        return clean_frames(network, x, noise, t_B, given_BF)

    compare(twin, draws, theirs, **fields)


def test_given_frames_and_their_mask_lie_beside_the_noise():
    """Wan2.1 I2V's channels: four of mask, then the latent; each clip its own task."""
    fields = {
        "time": TimeSampler(),
        "tasks": TaskMix(t2v=1.0, i2v=1.0, forward=1.0, keyframes=1.0),
        "given_channels": 20,
    }
    draws = drawn(twin_of("cross.wan_i2v"), **fields)
    given_BF = frames_given(draws)
    x = twin_of("cross.wan_i2v").latent(2)
    mask = np.broadcast_to(given_BF[..., None, None, None], (*x.shape[:4], 4))
    beside = np.concatenate([mask, x * mask[..., :1]], -1).astype(np.float32)
    twin, levels = twin_of("cross.wan_i2v", beside), np.asarray(draws["u"])

    def theirs(model):
        def network(z, told):
            return twin.theirs(model, z, told.flatten())

        return flow(network, tensor(x), tensor(twin.latent(3)), levels)

    compare(twin_of("cross.wan_i2v"), draws, theirs, **fields)


def test_cosmos_is_told_by_a_mask_which_frames_are_clean():
    """Predict2, as its pipeline has it; it tells those frames a time of 1e-4, here 0."""
    fields = {
        "time": TimeSampler(clean_frames=2, clean_rows=0.5),
        **{"given_channels": 2, "marks_given": True},
    }
    draws = drawn(twin_of("cosmos.predict2"), **fields)
    given_BF = frames_given(draws)
    mask = np.zeros((3, *twin_of("cosmos.predict2").sizes, 2), np.float32)
    mask[..., 0] = given_BF[..., None, None]
    twin, t_B = twin_of("cosmos.predict2", mask), np.asarray(draws["u"]).max(1)
    x, noise = tensor(twin.latent(2)), tensor(twin.latent(3))
    tokens = 8 * 10 // 4  # of a frame

    def theirs(model):
        def network(z, told_BF):
            return twin.theirs(model, z, told_BF)

        return clean_frames(network, x, noise, t_B, given_BF)

    unmarked = twin_of("cosmos.predict2")

    def by_frame(velocity, z, t_BN):
        return unmarked.ours(velocity, z, t_BN[:, ::tokens])

    compare(dataclasses.replace(unmarked, ours=by_frame), draws, theirs, **fields)
