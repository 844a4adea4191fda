"""The arguments that cuDNN is given; its kernels themselves need a GPU."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.cudnn import fused_attention_stablehlo
from ops.attention.contract import (
    SHAPE,
    allowed_by,
    assert_close,
    make_inputs,
    make_segments,
    reduction_of,
    truth,
)

from videogen.core.errors import ConfigError
from videogen.ops.attention import AttentionPlan, api, cudnn
from videogen.ops.attention.patterns import segments_mask

SEGMENTS = make_segments()


def zeros(E=64, N=32, S=48, dtype=jnp.bfloat16):
    """q_BKEN, k_BGSE, v_BGES."""
    return (
        jnp.zeros(shape, dtype) for shape in ((1, 4, E, N), (1, 2, S, E), (1, 2, E, S))
    )


def mask_of(N, S):
    return segments_mask(np.zeros((1, N), np.int32), np.zeros((1, S), np.int32))


@pytest.mark.parametrize("masked", (False, True))
def test_arguments_mean_what_attention_means(masked, monkeypatch):
    """The same call of jax.nn, by its XLA implementation."""

    def by_xla(plan, qkv, mask, *, scale, **_):
        return cudnn.by_dot_product_attention(
            *qkv, mask, scale=scale, implementation="xla"
        )

    monkeypatch.setitem(api.IMPLEMENTATIONS, "cudnn", by_xla)
    inputs = make_inputs()
    tokens = SEGMENTS if masked else {}
    plan = AttentionPlan(implementation="cudnn")

    @jax.jit
    def evaluate(q, k, v, do):
        o, pull = jax.vjp(lambda *qkv: plan(*qkv, **tokens, scale=0.3), q, k, v)
        return o, *pull(do)

    got = evaluate(*inputs)
    allowed = allowed_by(SEGMENTS) if masked else None
    assert_close(got, truth(*inputs, allowed, 0.3), reduction_of(SHAPE))
    if masked:  # the first query has no key
        assert not np.asarray(got[0][:, 0]).any() and not np.asarray(got[1][:, 0]).any()


@pytest.mark.parametrize("masked", (False, True))
def test_lowers_to_the_fused_kernels(masked, monkeypatch):
    monkeypatch.setattr(fused_attention_stablehlo, "check_cudnn_version", lambda: 91900)
    mask = mask_of(32, 48) if masked else None

    def loss(q, k, v):
        return cudnn.by_dot_product_attention(
            q, k, v, mask, scale=0.1, implementation="cudnn"
        ).sum()

    traced = jax.jit(jax.grad(loss, (0, 1, 2))).trace(*zeros())
    calls = re.findall(
        r"__cudnn\$fmha(\w*)", traced.lower(lowering_platforms=("cuda",)).as_text()
    )
    bias = "ScaleBias" if masked else ""
    assert sorted(set(calls)) == [f"{bias}Softmax", f"{bias}SoftmaxBackward"]


@pytest.mark.parametrize(
    "backend, shape, masked, reason",
    [
        ("cpu", {}, False, "needs a GPU"),
        ("gpu", {"dtype": jnp.float32}, False, "float32 .* cast to bfloat16"),
        ("gpu", {"E": 60}, False, "head dim 60 is not a multiple of 8"),
        ("gpu", {"S": 1026}, True, "32 queries and 1026 keys .* written out"),
        ("gpu", {"N": 33}, True, "even numbers of tokens, not 33 and 48"),
    ],
)
def test_refusals_have_reasons(backend, shape, masked, reason, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    q, k, v = zeros(**shape)
    mask = mask_of(q.shape[3], k.shape[2]) if masked else None
    with pytest.raises(NotImplementedError, match=reason):
        cudnn.attention(q, k, v, mask, scale=0.1)


def test_the_entry_gives_the_reason():
    plan = AttentionPlan(implementation="cudnn")
    with pytest.raises(ConfigError, match="cudnn: needs a GPU"):
        plan.transposed(*zeros())
