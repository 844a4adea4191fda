"""The benchmark of a step runs on any device, at sizes that say nothing."""

import re
import sys

import jax
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


def test_what_needs_too_much_memory_is_a_row(monkeypatch):
    def step_of(*_):
        raise jax.errors.JaxRuntimeError(said)

    monkeypatch.setattr(gpu_step, "step_of", step_of)
    said = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 216 GiB"
    row = gpu_step.row_of(None, None, 1)
    assert gpu_step.said(row, 1.0, 1, 1.0) == "more than the device's memory"
    said = "INTERNAL: a bug"
    with pytest.raises(jax.errors.JaxRuntimeError, match="a bug"):
        gpu_step.row_of(None, None, 1)


def test_the_policy_is_each_rows_own(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        lines(monkeypatch, capsys, "model.remat=full")
    assert "a row for each of attention, dots" in capsys.readouterr().err


@pytest.mark.parity
def test_pytorchs_steps_are_timed_too(monkeypatch, capsys):
    *_, recomputed, kept, _, _ = lines(monkeypatch, capsys, "--peer")
    assert recomputed.startswith("PyTorch, blocks recomputed: ") and "MFU" in recomputed
    assert kept.startswith("PyTorch, all kept: ") and "MFU" in kept
