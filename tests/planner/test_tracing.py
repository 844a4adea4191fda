"""What is traced is what trains."""

import dataclasses

import jax
import pytest

from videogen import flagship, trainer
from videogen.cost.analytic.layout import Layout
from videogen.models.cross import flops
from videogen.parallel.chips import find_chip
from videogen.parallel.mesh import make_mesh
from videogen.planner import candidates, search, tracing

WAN = "configs/wan2_1_t2v_1_3b.py"
FIELDS = [
    "model.depth=2",
    "model.width=256",
    "model.num_heads=2",
    "model.mlp_width=512",
]
LATENT, TEXT = (2, 32, 32), 64
V5E = find_chip("v5e")


@pytest.fixture(scope="module")
def settings():
    return flagship.read(WAN, [*FIELDS, "data.global_batch=4"], LATENT, TEXT)


def test_products_are_three_times_those_of_the_forward_pass(settings):
    """But for what has no gradient, as patches, and what is a shuffle, as the rotation."""
    here, shape = settings
    work = tracing.trace(tracing.with_remat(here, "none"), shape, V5E)
    args = here.model, shape.latent_FHWC, shape.text_tokens
    forward = flops.linear_flops(*args) + flops.embedding_flops(*args)
    assert work.product_flops == pytest.approx(3 * forward, rel=0.05)
    again = tracing.trace(tracing.with_remat(here, "full"), shape, V5E)
    assert again.product_flops == pytest.approx(4 / 3 * work.product_flops, rel=0.1)
    assert work.sizes == {"context": 512, "tensor": 2}
    assert len(again.kernels) == 6 and len(work.kernels) == 4  # self and text
    kept, least = (sum(s.kept.over(1) for s in w.stacks) for w in (work, again))
    assert kept > 20 * least


def test_a_mesh_that_cuts_the_batch_alone_runs_the_kernel_of_the_norm(settings):
    """Which writes once what XLA passes over several times; 9 tokens are no whole block."""
    small = (
        "model.depth=2",
        "model.width=256",
        "model.num_heads=2",
        "data.global_batch=4",
    )
    here, shape = flagship.read("configs/dit_xl_2.py", small)
    step = tracing.trace_step(here, shape, V5E, ["full"])
    cut = Layout(fsdp=2, context=2, remat="full")
    whole = Layout(fsdp=4, remat="full")
    fused, plain = (step.work_on(layout)["full"] for layout in (whole, cut))
    assert fused.fused and not plain.fused
    assert fused.loose_bytes.over(1) < plain.loose_bytes.over(1)
    assert fused.product_flops == plain.product_flops
    few = dataclasses.replace(shape, latent_FHWC=(1, 6, 6, 4))
    assert not tracing.trace_step(here, few, V5E, ["full"]).cut_work


def test_the_state_is_that_of_the_trainer(settings):
    here, _ = settings
    mesh = make_mesh(here.mesh, jax.devices()[:1])
    real = trainer.make(here, mesh, *flagship.constants(here)).abstract
    traced = tracing.state_shapes(here, V5E)
    said = [jax.tree.map(lambda x: (x.shape, x.dtype), tree) for tree in (real, traced)]
    assert said[0] == said[1]
    placed = trainer.place(traced, here, candidates.abstract(dict(mesh.shape)))
    assert placed.params.keys() == real.params.keys()


def test_only_what_is_asked_for_is_traced(settings):
    here, shape = settings
    problem = search.make_problem(here, shape, V5E, "v5e:2x2", {"model.remat"})
    assert set(problem.step.work) == {"dots", here.model.remat}
