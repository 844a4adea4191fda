"""Weights as the authors name them, of a tiny network."""

import numpy as np
import pytest

from data_pipelines.detectors.transnet.network import DILATIONS, REACH

FILTERS, STACKS, DEPTH, WIDE, HIDDEN = 2, 2, 2, 3, 8


def shapes():
    """Of every tensor."""
    channels, seen = 3, 0
    for i in range(STACKS):
        filters = FILTERS * 2**i
        for j in range(DEPTH):
            prefix = f"SDDCNN.{i}.DDCNN.{j}."
            for dilation in DILATIONS:
                layers = f"{prefix}Conv3D_{dilation}.layers."
                yield f"{layers}0.weight", (2 * filters, channels, 1, 3, 3)
                yield f"{layers}1.weight", (filters, 2 * filters, 3, 1, 1)
            channels = 4 * filters
            for name in ("weight", "bias", "running_mean", "running_var"):
                yield f"{prefix}bn.{name}", (channels,)
        seen += channels
    flat = 6 * 12 * channels + 2 * WIDE  # 27 x 48 pixels, halved twice
    for name, (given, made) in {
        "frame_sim_layer.projection": (seen, 5),
        "frame_sim_layer.fc": (2 * REACH + 1, WIDE),
        "color_hist_layer.fc": (2 * REACH + 1, WIDE),
        "fc1": (flat, HIDDEN),
        "cls_layer1": (HIDDEN, 1),
        "cls_layer2": (HIDDEN, 1),
    }.items():
        yield f"{name}.weight", (made, given)
        yield f"{name}.bias", (made,)


@pytest.fixture
def tensors():
    """Random ones."""
    rng = np.random.default_rng(0)
    found = {n: rng.normal(0, 0.3, s).astype(np.float32) for n, s in shapes()}
    return {n: np.abs(x) if n.endswith("var") else x for n, x in found.items()}


@pytest.fixture
def seeing(tensors):
    """Those that say a transition is where the next frame has other colours."""
    found = {name: np.zeros_like(x) for name, x in tensors.items()}
    found["color_hist_layer.fc.weight"][0, REACH + 1] = -1
    found["color_hist_layer.fc.bias"][0] = 1  # 1 - likeness to the next frame
    found["fc1.weight"][0, 0] = 1  # colours come first
    found["cls_layer1.weight"][0, 0], found["cls_layer1.bias"][0] = 40, -10
    return found
