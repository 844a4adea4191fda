"""Encoders as transformers saves them, and how near ours must be."""

import numpy as np
import pytest

TOLERANCE = 1e-4  # of the largest value


def save(model, folder):
    """Random weights of some size, so that no part is idle."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in model.named_parameters():
            is_gain = "norm" in name and name.endswith("weight")
            value.copy_(0.3 * torch.randn(value.shape) + is_gain)
    model.eval().save_pretrained(folder)
    return model


def near(got, want):
    error, size = np.abs(got - want).max(), np.abs(want).max()
    print(f"largest difference {error:.1e} of {size:.1f}")
    assert error < TOLERANCE * size
