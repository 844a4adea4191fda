"""Layouts on offer: all those that training accepts, and no other."""

import dataclasses
import math

import pytest

from videogen import flagship, trainer
from videogen.core.errors import ConfigError
from videogen.planner import candidates

WAN = "configs/wan2_1_t2v_1_3b.py"


def settings(*overrides):
    return flagship.read(WAN, overrides)[0]


def offered(here, devices, pinned=()):
    meshes = candidates.meshes(here, devices, pinned)
    return [x for axes in meshes for x in candidates.layouts(here, axes, pinned)]


def test_every_layout_is_one_that_training_accepts():
    here = settings("data.global_batch=12")
    found = offered(here, 16)
    assert found and len(set(found)) == len(found)
    for layout in found:
        assert (
            layout.num_devices == 16 and layout.ulysses * layout.ring == layout.context
        )
        optimizer = dataclasses.replace(
            here.optimizer, microbatches=layout.microbatches
        )
        laid = dataclasses.replace(here, optimizer=optimizer)
        trainer.check_mesh(laid, candidates.abstract(layout.axes))


def test_batches_and_heads_bound_the_mesh():
    """12 clips, 12 heads: rows divide the one, tensor the other, ulysses what is left."""
    found = offered(settings("data.global_batch=12"), 16)
    assert {x.replica * x.fsdp for x in found} == {1, 2, 4}
    assert {x.tensor for x in found} == {1, 2, 4}
    assert {x.ulysses for x in found if x.context == 16} == {4}
    by_rows = {x.replica * x.fsdp: x.microbatches for x in found}
    assert all(12 % (rows * parts) == 0 for rows, parts in by_rows.items())
    assert {x.remat for x in found} == set(candidates.POLICIES)


@pytest.mark.parametrize(
    "field, axis, size",
    [
        ("mesh.context=4", "context", 4),
        ("mesh.tensor=2", "tensor", 2),
        ("model.remat=dots", "remat", "dots"),
        ("optimizer.microbatches=2", "microbatches", 2),
    ],
)
def test_what_is_given_stays(field, axis, size):
    here = settings("data.global_batch=16", field)
    found = offered(here, 16, {field.partition("=")[0]})
    assert found and {getattr(x, axis) for x in found} == {size}


def test_a_free_axis_is_searched_though_named():
    here = settings("data.global_batch=16", "mesh.fsdp=-1")
    assert len({x.fsdp for x in offered(here, 16, {"mesh.fsdp"})}) > 1


def test_meshes_are_all_products():
    sizes = [tuple(m.values()) for m in candidates.meshes(settings(), 8, ())]
    assert len(sizes) == len(set(sizes)) == 20  # 3 factors of 2 over 4 axes
    assert {math.prod(x) for x in sizes} == {8}


@pytest.mark.parametrize(
    "fields, slices, said",
    [
        (("mesh.context=5",), 1, r"config.mesh.context=5: 8 devices .* \[1, 2, 4, 8\]"),
        (("mesh.fsdp=8", "mesh.context=2"), 1, "mesh.fsdp=8, config.mesh.context=2: 8"),
        (("mesh.replica=1",), 2, "replica=1: each of 2 slices .* a multiple of 2"),
        (("mesh.tensor=8",), 1, "tensor=8 does not divide config.model.num_heads=12"),
    ],
)
def test_given_axes_that_cannot_be_are_named_before_anything_is_traced(
    fields, slices, said
):
    pinned = candidates.pinned_by(fields)
    with pytest.raises(ConfigError, match=said):
        candidates.check_pinned(settings(*fields), 8, slices, pinned)


def test_what_is_not_estimated_is_no_candidate():
    assert not any("offload" in name for name in candidates.POLICIES)
    asked = settings("model.remat=offload,full")
    with pytest.raises(ConfigError, match="config.model.remat=offload,full: copies to"):
        candidates.policies(asked, {"model.remat"})
    for field in ("offload=True", "reduce_dtype=float32", "product_dtype=int8"):
        with pytest.raises(ConfigError, match=f"config.optimizer.{field} is not estim"):
            candidates.policies(settings(f"optimizer.{field}"), {})
