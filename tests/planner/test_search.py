"""The search: what fits, in which order, and what is said when nothing does."""

import dataclasses

import pytest

from videogen import flagship
from videogen.core.errors import ConfigError
from videogen.cost.analytic.estimate import Step
from videogen.cost.analytic.work import Bytes, Stack, Work
from videogen.parallel.chips import find_slice
from videogen.planner import candidates, search, tracing

WAN = "configs/wan2_1_t2v_1_3b.py"
KEPT = {"none": 64, "dots": 16, "attention": 4, "self_attention": 3.5}
KEPT |= {"attention,full": 3, "full": 2}


def work(gib, flops):
    """Of 30 layers that keep so much of a clip."""
    kept = Bytes(whole=gib * 2.0**30)
    return Work(
        product_flops=flops,
        product_bytes=Bytes(),
        weight_bytes=0.0,
        kernels=(),
        stacks=(Stack(layers=30, kept=kept, weights=Bytes()),),
        loose_bytes=Bytes(),
        sizes={"context": 32760, "tensor": 12},
    )


def problem(chips="v5e:4", *, clips=8, size=1.0, pinned=(), fields=()):
    """Policies that keep less compute more."""
    fields = [f"data.global_batch={clips}", *fields]
    settings, _ = flagship.read(WAN, fields)
    chip, topology = find_slice(chips)
    flops = {name: 1e14 / gib**0.1 for name, gib in KEPT.items()}
    return search.Problem(
        settings=settings,
        step=Step(
            global_batch=clips,
            tokens=32760,
            flops=2e14,
            work={n: work(size * gib, flops[n]) for n, gib in KEPT.items()},
        ),
        state=tracing.state_shapes(settings, chip),
        chip=chip,
        topology=topology,
        pinned=frozenset(pinned),
    )


def test_layouts_that_fit_are_ranked_by_their_time():
    found = search.search(problem())
    times = [x.step_seconds for x in found]
    assert found and times == sorted(times)
    assert all(x.spare_gib >= 0 for x in found)
    assert all(x.layout.num_devices == 4 for x in found)


def test_a_mesh_and_a_policy_stand_once_with_the_fewest_parts_that_fit():
    here = problem()
    found = search.search(here)
    pairs = [(tuple(x.layout.axes.values()), x.layout.remat) for x in found]
    assert len(set(pairs)) == len(pairs)
    parted = next(x for x in found if x.layout.microbatches > 1)
    fewer = [
        x
        for x in search.on_mesh(here, parted.layout.axes)
        if x.layout.remat == parted.layout.remat
        and x.layout.microbatches < parted.layout.microbatches
    ]
    assert fewer and all(x.spare_gib < 0 for x in fewer)


def test_tokens_bound_the_context():
    here = problem(fields=["mesh.tensor=1"], pinned={"mesh.tensor"}, size=0.01)
    contexts = {x.layout.context for x in search.search(here)}
    assert contexts == {1, 2, 4}
    odd = {
        name: dataclasses.replace(x, sizes={"context": 2})
        for name, x in here.step.work.items()
    }
    step = dataclasses.replace(here.step, work=odd)
    found = search.search(dataclasses.replace(here, step=step))
    assert {x.layout.context for x in found} == {1, 2}


def test_more_fsdp_keeps_less():
    here = problem()
    kept = []
    for fsdp in (1, 2, 4):
        axes = dict(replica=4 // fsdp, fsdp=fsdp, context=1, tensor=1)
        kept.append(next(search.on_mesh(here, axes)).num_bytes["state"])
    assert kept == sorted(kept, reverse=True) and len(set(kept)) == 3


def test_the_nearest_misfit_is_told_with_what_would_help():
    with pytest.raises(ConfigError) as error:
        search.search(problem(size=100.0, clips=4))
    said = str(error.value)
    assert "\n" not in said
    assert said.startswith("nothing fits v5e:2x2: the nearest, --config.mesh.replica=")
    assert "--config.model.remat=full" in said and "too much, most of it kept" in said
    assert "more chips than 4, a chip of more memory (v5p, tpu7x)" in said
    assert "moments=bfloat16 would help" in said


def test_a_batch_that_no_mesh_divides_is_told():
    fields = ["mesh.context=1", "mesh.tensor=1"]
    here = problem(clips=7, pinned={"mesh.context", "mesh.tensor"}, fields=fields)
    with pytest.raises(
        ConfigError, match="global_batch=7, the 32760 .* 12 heads .* as given"
    ):
        search.search(here)


def test_given_fields_are_named_as_a_way_out():
    here = problem(
        size=200.0, clips=4, pinned={"model.remat"}, fields=["model.remat=dots"]
    )
    with pytest.raises(ConfigError, match="or fewer fields given would help"):
        search.search(here)


def test_every_layout_found_is_on_offer():
    here = problem()
    for found in search.search(here)[:5]:
        layout = found.layout
        same = dataclasses.replace(layout)
        assert same in set(candidates.layouts(here.settings, layout.axes, ()))


def test_over_slices_each_has_whole_copies():
    one = problem("v5e:16", clips=32)
    both = dataclasses.replace(one, slices=2)
    found = search.search(both)
    assert both.num_devices == 32 and both.place == "2 x v5e:4x4"
    assert {x.layout.num_devices for x in found} == {32}
    assert all(x.layout.replica % 2 == 0 for x in found)
    assert any(x.layout.replica % 2 for x in search.search(one))
