"""Blocks compiled for TPUs that are not there: queries, keys and values stay in place."""

import json
import math
import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from videogen.cost import hlo
from videogen.cost.case import Case
from videogen.cost.compile import NO_TPU
from videogen.models.cross.model import make
from videogen.models.cross.sizes import wan2_1_t2v_1_3b
from videogen.nn.fence import Network
from videogen.ops.attention.api import AttentionPlan
from videogen.ops.attention.pallas_tpu import Blocks
from videogen.parallel.chips import find_chip

LATENT = (1, 4, 32, 32, 16)
NUM_HEADS, HEAD_DIM, NUM_TOKENS = 4, 128, 1024


def step(devices, chip: str) -> Case:
    """Two blocks, forward and backward, between the layers around them.

    XLA's products take most of the compiling, by their sizes.
    """
    sizes = dict(width=NUM_HEADS * HEAD_DIM, mlp_width=512, text_dim=512)
    config = wan2_1_t2v_1_3b(
        **sizes, num_heads=NUM_HEADS, depth=2, dtype="bfloat16", remat="attention"
    )
    blocks = Blocks(q=512, kv=512, step=512)
    plan = AttentionPlan(
        implementation="pallas_tpu", chip=chip, blocks=(blocks, blocks)
    )
    network = Network.of(make(config, plan))

    def loss(params, latent, t, text):
        return jnp.sum(network.apply(params, latent, t, text_BLD=text) ** 2)

    shapes = (LATENT, (1,), (1, 512, config.text_dim))
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return Case(function=jax.grad(loss), args=(network.abstract(), *arrays))


def moved_heads(module: hlo.Module) -> list[str]:
    """Transposes and copies, outside fusions, of all heads of q, k, v, o or a gradient."""
    found = []
    for instruction in (x for body in module.computations.values() for x in body):
        shape = re.match(r"\w+\[([\d,]+)\]", instruction.text)
        if shape is None or instruction.opcode not in ("transpose", "copy"):
            continue
        sizes = [int(size) for size in shape[1].split(",")]
        has_heads = {NUM_HEADS, NUM_TOKENS} <= set(sizes)
        if has_heads and math.prod(sizes) >= NUM_HEADS * HEAD_DIM * NUM_TOKENS:
            found.append(f"{instruction.name} = {instruction.text[:80]}")
    return found


@pytest.mark.tpu
@pytest.mark.parametrize("chip", ["v5e", "v6e"])
def test_no_heads_are_moved_but_by_products(chip, tmp_path):
    command = [sys.executable, "-m", "videogen.cost.worker", f"{__file__}:step"]
    command += [find_chip(chip).topology, json.dumps({"chip": chip}), str(tmp_path)]
    done = subprocess.run(
        command,
        env=os.environ | NO_TPU | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    module = hlo.parse_module((tmp_path / "module.txt").read_text())
    assert len(module.kernels()) >= 4  # forward and backward, of both attentions
    assert moved_heads(module) == []


def test_a_copy_to_another_layout_is_found():
    text = """HloModule m

ENTRY %main (p: bf16[1,4,128,1024]) -> bf16[1,4,128,1024] {
  %p = bf16[1,4,128,1024]{2,3,1,0:T(8,128)(2,1)} parameter(0)
  ROOT %copy.1 = bf16[1,4,128,1024]{3,2,1,0:T(8,128)(2,1)} copy(%p)
}
"""
    (found,) = moved_heads(hlo.parse_module(text))
    assert found.startswith("copy.1")
