"""The authors' weights as the network takes them: of a file of torch.save, or safetensors."""

import itertools
import pathlib
from collections.abc import Mapping

import numpy as np
import safetensors
from safetensors.numpy import load_file

from data_pipelines.detectors.transnet.network import DILATIONS, REACH, Tree
from data_pipelines.exchange.pickled import read_pickled
from data_pipelines.quarantine import Reject
from videogen.core.errors import DataError

NORM_EPS = 1e-3
FRAME = (27, 48, 3)

Tensors = Mapping[str, np.ndarray]


def load_params(path: pathlib.Path) -> Tree:
    """What `network` takes, float32. DataError for a file that has not all of it."""
    read = load_file if path.suffix == ".safetensors" else _load_pickled
    try:
        return arrange(read(path))
    except (
        *(OSError, Reject, safetensors.SafetensorError),
        *(AttributeError, LookupError, TypeError, ValueError),
    ) as error:
        raise DataError(f"{path}: not the weights of TransNetV2: {error}") from error


def _load_pickled(path: pathlib.Path) -> Tensors:
    (record,) = read_pickled(str(path))
    return {name: tensor.values for name, tensor in record.tensors.items()}


def arrange(tensors: Tensors) -> Tree:
    """By our names and in our layouts. KeyError or ValueError for others than expected."""
    num_stacks = _count(tensors, "SDDCNN.{}.DDCNN.0.bn.weight")
    depth = _count(tensors, "SDDCNN.0.DDCNN.{}.bn.weight")
    stacks = [
        [_block(tensors, f"SDDCNN.{i}.DDCNN.{j}.") for j in range(depth)]
        for i in range(num_stacks)
    ]
    params = {
        "stacks": stacks,
        "similarity": {
            "projection": _linear(tensors, "frame_sim_layer.projection"),
            "compared": _linear(tensors, "frame_sim_layer.fc"),
        },
        "colours": _linear(tensors, "color_hist_layer.fc"),
        "hidden": _linear(tensors, "fc1"),
        "middle": _linear(tensors, "cls_layer1"),
        "all": _linear(tensors, "cls_layer2"),
    }
    _check(params)
    return params


def _count(tensors: Tensors, key: str) -> int:
    """How many of these there are, from 0 on."""
    found = next(n for n in itertools.count() if key.format(n) not in tensors)
    if not found:
        raise KeyError(key.format(0))
    return found


def _block(tensors: Tensors, prefix: str) -> Tree:
    """A norm of fixed statistics is a scale and a bias."""
    layers = [f"{prefix}Conv3D_{dilation}.layers" for dilation in DILATIONS]
    space = [_float(tensors, f"{layer}.0.weight") for layer in layers]  # O I 1 H W
    time = [_float(tensors, f"{layer}.1.weight") for layer in layers]  # O I 3 1 1
    gain, bias, mean, variance = (
        _float(tensors, f"{prefix}bn.{name}")
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / np.sqrt(variance + NORM_EPS)
    return {
        "space": np.concatenate(space)[:, :, 0].transpose(2, 3, 1, 0),
        "time": [kernel[..., 0, 0].transpose(2, 1, 0) for kernel in time],
        "scale": scale,
        "bias": bias - mean * scale,
    }


def _linear(tensors: Tensors, name: str) -> Tree:
    return {
        "kernel": _float(tensors, f"{name}.weight").T,
        "bias": _float(tensors, f"{name}.bias"),
    }


def _float(tensors: Tensors, name: str) -> np.ndarray:
    return np.asarray(tensors[name], np.float32)


def _check(params: Tree) -> None:
    """ValueError unless the layers fit each other and frames of FRAME."""
    height, width, channels = FRAME
    seen = 0
    for blocks in params["stacks"]:
        for block in blocks:
            if block["space"].shape[:3] != (3, 3, channels):
                raise ValueError(f"a convolution {block['space'].shape}")
            channels = len(block["scale"])
        height, width, seen = height // 2, width // 2, seen + channels
    compared = params["similarity"]["compared"]["kernel"], params["colours"]["kernel"]
    wide = [kernel.shape[1] for kernel in compared]
    if {len(kernel) for kernel in compared} != {2 * REACH + 1}:
        raise ValueError("frames are not compared with 50 before and after")
    if len(params["similarity"]["projection"]["kernel"]) != seen:
        raise ValueError(f"the projection is not of {seen} channels")
    flat = height * width * channels + sum(wide)
    if len(params["hidden"]["kernel"]) != flat:
        raise ValueError(f"the hidden layer is not of {flat} numbers")
