"""One trunk over video and sound: what each sees of the other, and when."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models.tiny import TINY
from networks import random_params

from videogen.core.errors import ConfigError
from videogen.models.cross import model as cross
from videogen.models.sound import model as sound
from videogen.nn.fence import Network
from videogen.nn.position import grid_coordinates

CONFIG = TINY["sound"].config
NETWORK = Network.of(sound.make(CONFIG))
PARAMS = random_params(NETWORK)
LATENT = TINY["sound"].latent(jax.random.normal(jax.random.key(0), (2, 3, 4, 4, 4)))
T_B = jnp.array([0.2, 0.9])
TEXT = {"text_BLD": jax.random.normal(jax.random.key(1), (2, 6, 16))}
apply = jax.jit(NETWORK.apply)


def moved(name):
    """The latent with one part changed."""
    return {**LATENT, name: LATENT[name] + 1}


def test_of_video_alone_it_is_the_network_without_sound():
    alone = Network.of(cross.make(CONFIG))
    params = {path: PARAMS[path] for path in alone.abstract()}
    want = jax.jit(alone.apply)(params, LATENT["video"], T_B, **TEXT)
    np.testing.assert_array_equal(apply(PARAMS, LATENT["video"], T_B, **TEXT), want)


def test_each_part_sees_the_other():
    at = apply(PARAMS, LATENT, T_B, **TEXT)
    for name, other in (("video", "audio"), ("audio", "video")):
        change = apply(PARAMS, moved(name), T_B, **TEXT)[other] - at[other]
        assert float(jnp.abs(change).max()) > 1e-3


def test_a_sound_that_is_not_there_is_not_seen():
    heard = {**TEXT, "heard_B": jnp.array([True, False])}
    at = apply(PARAMS, LATENT, T_B, **heard)["video"]
    other = apply(PARAMS, moved("audio"), T_B, **heard)["video"]
    np.testing.assert_array_equal(at[1], other[1])
    assert not np.allclose(at[0], other[0], atol=1e-3)
    whole = apply(PARAMS, LATENT, T_B, **TEXT)["video"]
    np.testing.assert_allclose(at[0], whole[0], atol=1e-5)


def test_a_time_for_each_part_or_token():
    at = apply(PARAMS, LATENT, T_B, **TEXT)
    tokens = jnp.broadcast_to(T_B[:, None], (2, 3 * 2 * 2))
    for video in (T_B, tokens):
        told = {"video": video, "audio": T_B}
        same = apply(PARAMS, LATENT, told, **TEXT)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), same, at)
    other = apply(PARAMS, LATENT, {"video": T_B, "audio": 0 * T_B}, **TEXT)
    assert not np.allclose(other["audio"], at["audio"], atol=1e-3)


@pytest.mark.parametrize("patch_frames", [1, 2])
def test_sound_and_picture_of_one_instant_have_one_time(patch_frames):
    """Latent frame f and audio frame f x audio_per_frame; tokens hold patch_frames of them."""
    per_frame = 5.0
    audio = sound.audio_coordinates(21, per_frame * patch_frames)
    video = grid_coordinates((4 // patch_frames, 1, 1))
    at = (np.arange(len(video)) * patch_frames * per_frame).astype(int)
    np.testing.assert_allclose(audio[at], video)
    assert (np.diff(audio[:, 0]) > 0).all()
    assert not audio[:, 1:].any()


def test_what_cannot_work_is_named():
    with pytest.raises(ConfigError, match="model.audio_channels=6, .* has 5 channels"):
        wrong = {**LATENT, "audio": LATENT["audio"][..., :5]}
        NETWORK.apply(PARAMS, wrong, T_B, **TEXT)
    with pytest.raises(ConfigError, match="sound needs text_BLD"):
        NETWORK.apply(PARAMS, LATENT, T_B)
    with pytest.raises(ConfigError, match="model.audio_per_frame=0"):
        dataclasses.replace(CONFIG, audio_per_frame=0.0)
    with pytest.raises(ConfigError, match="'learned' has no place for sound"):
        dataclasses.replace(CONFIG, position="learned", position_sizes=(4, 4, 4))
