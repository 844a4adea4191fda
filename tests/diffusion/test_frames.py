"""Times of chunks rise; given frames are clean, of the asked number, and not learnt."""

import jax
import jax.numpy as jnp
import numpy as np

from videogen.diffusion.frames import by_token, frame_times, keep_given
from videogen.diffusion.published import PUBLISHED
from videogen.diffusion.time import TimeSampler

KEY = jax.random.key(0)


def test_chunks_have_one_time_each_and_later_ones_are_noisier():
    time = PUBLISHED["magi"].time
    u_BF, learn_BF = frame_times(time, KEY, 64, 20, 3.0)
    assert u_BF.shape == (64, 20) and learn_BF.all()
    chunks = [u_BF[:, i : i + 6] for i in range(0, 20, 6)]
    for chunk in chunks:
        assert (chunk == chunk[:, :1]).all()
    firsts = np.stack([chunk[:, 0] for chunk in chunks], axis=1)
    assert (np.diff(firsts, axis=1) > 0).all()


def test_magis_times_are_its_formula():
    """t' = w t / (1 - (1 - w) t), t = sigmoid(N(0, 0.5)), w = 1/3, of one chunk."""
    u_BF, _ = frame_times(PUBLISHED["magi"].time, KEY, 50_000, 6, 3.0)
    data_time = 1 - np.asarray(u_BF[:, 0], np.float64)
    w = 1 / 3
    t = data_time / (w + (1 - w) * data_time)  # the inverse of the formula
    logits = np.log(t / (1 - t))
    assert abs(logits.mean()) < 0.01 and abs(logits.std() - 0.5) < 0.01
    assert abs((data_time < 0.3).mean() - 0.70) < 0.02  # "about 70 %"


def test_first_frames_are_given():
    time = TimeSampler(clean_frames=2, clean_rows=0.5, clean_noise=0.05)
    u_BF, learn_BF = (np.asarray(x) for x in frame_times(time, KEY, 4000, 5, 1.0))
    counts = np.bincount((~learn_BF).sum(1), minlength=3) / 4000
    np.testing.assert_allclose(counts, [0.5, 0.25, 0.25], atol=0.03)
    assert (np.diff(learn_BF.astype(int), axis=1) >= 0).all()  # the first ones
    given = u_BF[~learn_BF]
    assert 0 <= given.min() and given.max() <= 0.05 and given.std() > 0
    rest = u_BF[:, 2:]
    assert learn_BF[:, 2:].all() and (rest == rest[:, :1]).all()


def test_rows_keep_their_shares_where_frames_have_times_of_their_own():
    """Stratified: row i of 8 draws from the i-th eighth, whatever frames are given."""
    time = TimeSampler(kind="uniform", stratified=True, clean_frames=1)
    u_BF, learn_BF = frame_times(time, jax.random.key(0), 8, 4, 1.0)
    share_B = np.floor(np.asarray(u_BF[:, -1]) * 8)
    assert share_B.tolist() == list(range(8)) and np.asarray(learn_BF)[:, 1:].all()


def test_without_noise_given_frames_are_data():
    u_BF, learn_BF = frame_times(TimeSampler(clean_frames=1), KEY, 8, 3, 1.0)
    assert (u_BF[:, 0] == 0).all() and not learn_BF[:, 0].any()


def test_one_frame_must_be_learnt():
    for num_frames, given in ((1, 0), (2, 1)):
        _, learn_BF = frame_times(TimeSampler(clean_frames=2), KEY, 9, num_frames, 1.0)
        assert ((~learn_BF).sum(1) == given).all()


def test_a_token_is_told_its_frames_time():
    told = []
    by_token(lambda z, t: told.append(t) or z, (2, 1, 3))(
        jnp.zeros((1, 4)), jnp.array([[0.1, 0.1, 0.7, 0.7]])
    )
    np.testing.assert_allclose(told[0], [[0.1, 0.1, 0.1, 0.7, 0.7, 0.7]])


def test_given_frames_are_kept_clean_at_time_0():
    clean, x_t = jnp.ones((2, 3, 1, 1, 1)), jnp.full((2, 3, 1, 1, 1), 5.0)
    given_BF = jnp.array([[1, 0, 0], [0, 0, 1]], bool)
    seen = []
    velocity = keep_given(
        lambda x, t: seen.append((x, t)) or jnp.nan * x, clean, given_BF
    )(x_t, jnp.array([0.5, 0.7]))
    np.testing.assert_allclose(seen[0][0][..., 0, 0, 0], [[1, 5, 5], [5, 5, 1]])
    np.testing.assert_allclose(seen[0][1], [[0, 0.5, 0.5], [0.7, 0.7, 0]])
    assert (np.isnan(velocity[..., 0, 0, 0]) == ~given_BF).all()
    assert (velocity[given_BF] == 0).all()
