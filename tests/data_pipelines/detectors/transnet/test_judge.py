"""Through the whole of `shots`: small frames out of a guarded process, the network here."""

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from data_pipelines.__main__ import main
from data_pipelines.detectors.transnet.judge import chances
from data_pipelines.detectors.transnet.network import network
from data_pipelines.detectors.transnet.weights import arrange
from data_pipelines.settings import ShotsSettings
from data_pipelines.tables import Tables
from videogen.core.errors import ConfigError

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
]


@pytest.mark.parametrize("count", [1, 60, 130])
def test_chances_are_the_network_s_of_each_window(tensors, count):
    params = arrange(tensors)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (count, 27, 48, 3), dtype=np.uint8)
    found = chances(params, frames)
    assert found.shape == (count,)
    end = [frames[-1:]] * (25 + -count % 50)
    padded = np.concatenate([frames[:1]] * 25 + [frames, *end])
    run, wanted = jax.jit(network), []
    for first in range(0, len(padded) - 99, 50):
        middle_BT, _ = run(params, padded[None, first : first + 100])
        wanted.append(1 / (1 + np.exp(-np.asarray(middle_BT, np.float64)[0, 25:75])))
    np.testing.assert_allclose(found, np.concatenate(wanted)[:count], atol=1e-5)


def test_shots_of_a_folder(tmp_path, make_video, seeing, capsys):
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "videos" / "a.mp4", [40, 30, 45])
    make_video(tmp_path / "videos" / "b.mp4", [20])
    weights = tmp_path / "w.safetensors"
    save_file(seeing, weights)
    tables = f"--tables={tmp_path / 'tables'}"
    assert main(["ingest", f"--videos={tmp_path / 'videos'}", tables]) == 0
    shots = ["shots", tables, f"--detector=transnetv2:{weights}"]
    shots += ["--min-seconds=0.5", "--max-seconds=0.5"]
    assert main(shots) == 0
    rows = Tables(tmp_path / "tables").read("shots")
    assert Tables(tmp_path / "tables").need("shots").facts == {"shots": 4}
    spans = [(row["first_frame"], row["last_frame"]) for row in rows]
    inside = [(0, 40), (40, 70), (70, 115), (0, 20)]
    for first, last in spans:
        assert any(a <= first and last < b for a, b in inside)
    assert {0, 40, 70} <= {first - 2 for first, _ in spans}
    assert main(shots) == 0 and "there already" in capsys.readouterr().out
    seeing["cls_layer1.bias"] -= 1
    save_file(seeing, weights)
    assert main(shots) == 43
    assert "made with other weights of --detector=" in capsys.readouterr().err


def test_what_cannot_work_is_told(tmp_path):
    with pytest.raises(ConfigError, match="less than 1 would work for transnetv2"):
        (tmp_path / "w.pth").touch()
        ShotsSettings(detector=f"transnetv2:{tmp_path / 'w.pth'}", shot_threshold=27)
    with pytest.raises(ConfigError, match="no file /no/such"):
        ShotsSettings(detector="transnetv2:/no/such")
    with pytest.raises(ConfigError, match="detector='transnet'.*transnetv2"):
        ShotsSettings(detector="transnet")
    with pytest.raises(ConfigError, match="content takes no file"):
        ShotsSettings(detector="content:/no/such")
