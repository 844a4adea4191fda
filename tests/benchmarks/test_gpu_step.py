"""The benchmark of a step runs on any device, at sizes that say nothing."""

import re
import sys

import pytest

from benchmarks import gpu_step

TINY = (
    *("--latent=3x4x6", "--text_tokens=8", "--steps=2", "--product=64"),
    *("model.depth=1", "model.width=32", "model.num_heads=2", "model.mlp_width=64"),
    "model.text_dim=16",
)


def lines(monkeypatch, capsys, *extra):
    monkeypatch.setattr(sys, "argv", ["gpu_step", *TINY, *extra])
    gpu_step.main()
    return capsys.readouterr().out.splitlines()


def test_a_step_is_timed_beside_a_product(monkeypatch, capsys):
    said, product, *ours = lines(monkeypatch, capsys)
    assert "data.global_batch=1" in said and product.startswith("product of 64 x 64: ")
    for remat, line in zip(("attention", "dots"), ours, strict=True):
        start = (
            rf"videogen, model.remat={remat}: [\d.]+ ms a step, [\d,]+ tokens/s, MFU "
        )
        assert re.match(start, line)


@pytest.mark.parity
def test_pytorchs_steps_are_timed_too(monkeypatch, capsys):
    *_, recomputed, kept, _, _ = lines(monkeypatch, capsys, "--peer")
    assert recomputed.startswith("PyTorch, blocks recomputed: ") and "MFU" in recomputed
    assert kept.startswith("PyTorch, all kept: ") and "MFU" in kept
