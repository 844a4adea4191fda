"""The arguments that cuDNN is given; its kernels themselves need a GPU."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax._src.cudnn import fused_attention_stablehlo
from ops.attention.contract import (
    SHAPE,
    allowed_by,
    assert_close,
    make_inputs,
    make_segments,
    reduction_of,
    run,
    term_sizes,
    truth,
)

from videogen.core.errors import ConfigError
from videogen.nn.stack import make_stack, run_stack
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


@pytest.mark.gpu
@pytest.mark.parametrize("masked", (False, True))
@pytest.mark.parametrize("keys", (128, 1024))
def test_the_kernels_are_attention(masked, keys):
    """Where there is a GPU: `python -m pytest -m gpu`."""
    shape = (2, 512, keys, 6, 2, 128)
    inputs = make_inputs(shape, jnp.bfloat16)
    tokens = make_segments(shape) if masked else {}
    got = run(AttentionPlan(implementation="cudnn"), *inputs, **tokens)
    allowed = allowed_by(tokens) if masked else None
    sizes = term_sizes(*inputs, allowed)
    assert_close(got, truth(*inputs, allowed), reduction_of(shape), sizes=sizes)


REMATS = {"full": 2, "attention": 1, "self_attention": 2, "dots": 1, "none": 1}
REMATS["offload"] = 2


@pytest.mark.parametrize("remat", REMATS)
def test_policies_keep_what_the_kernel_made(remat, monkeypatch):
    """How often the forward kernel of a text, with fewer keys than queries, is compiled."""
    monkeypatch.setattr(fused_attention_stablehlo, "check_cudnn_version", lambda: 91900)
    calls = kernels_of(zeros(N=64), remat)
    assert calls.count("Softmax") == REMATS[remat]
    assert calls.count("SoftmaxBackward") == 1
    if remat == "self_attention":
        assert kernels_of(zeros(N=48), remat).count("Softmax") == 1


class Attend(nnx.Module):
    """A block of a stack."""

    def __init__(self, rngs):
        self.gain = nnx.Param(jax.random.normal(rngs.params(), (), jnp.bfloat16))

    def __call__(self, qkv):
        q, k, v = qkv
        q = cudnn.by_dot_product_attention(
            q * self.gain[...], k, v, None, scale=0.1, implementation="cudnn"
        )
        return q, k, v


def kernels_of(qkv, remat):
    """cuDNN's calls in the gradient of a stack of blocks that attend."""
    blocks = make_stack(Attend, 3, nnx.Rngs(0))

    def loss(qkv):
        return run_stack(blocks, Attend.__call__, qkv, remat=remat)[0].sum()

    traced = jax.jit(jax.grad(loss)).trace(tuple(qkv))
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    return re.findall(r"__cudnn\$fmha(\w*)", text)


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
        ("gpu", {"S": 77}, False, "even numbers of tokens, not 32 and 77"),
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
