"""Meshes laid over slices without a compiler."""

import json
import subprocess
import sys

import pytest

from videogen.cost.analytic import torus
from videogen.cost.compile import environment
from videogen.parallel.chips import CHIPS, find_chip


def axes(replica=1, fsdp=1, context=1, tensor=1):
    return dict(replica=replica, fsdp=fsdp, context=context, tensor=tensor)


@pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)
def test_every_device_of_a_slice_stands_once(chip):
    for dims in chip.topologies[:4]:
        topology = f"{chip.name}:{dims}"
        devices = torus.num_chips(topology) * chip.devices_per_chip
        pod = torus.lay_out(axes(fsdp=devices), chip, topology)
        assert pod.size == len(set(pod.places)) == devices


def test_slices_are_laid_alike_and_only_replica_crosses_them():
    chip, sizes = find_chip("v5e"), axes(replica=4, fsdp=4, context=2)
    pod = torus.lay_out(sizes, chip, "v5e:4x4", slices=2)
    assert len(set(pod.places)) == pod.size == 32
    halves = pod.places[:16], pod.places[16:]
    assert [{place[0] for place in half} for half in halves] == [{0}, {1}]
    assert [place[1:] for place in halves[0]] == [place[1:] for place in halves[1]]
    crossing = pod.bandwidth(pod.along(("replica",)), chip)
    assert crossing == chip.dcn_bytes_per_second


def test_an_axis_of_a_dimension_has_its_links_alone():
    """4 of 4 x 4 chips of v5e: a line, one link; both dimensions: two."""
    chip = find_chip("v5e")
    pod = torus.lay_out(axes(fsdp=4, context=4), chip, "v5e:4x4")
    assert pod.along(("context",)) == (0, 1, 2, 3)
    assert pod.spanned(pod.along(("context",))) == ("context",)
    one = pod.bandwidth(pod.along(("context",)), chip)
    assert pod.bandwidth(pod.along(("fsdp", "context")), chip) == 2 * one


def test_groups_between_whose_chips_lie_others_share_the_links():
    """8 x 8 chips as 16 x 4: half a row, and whole columns of its two halves."""
    chip = find_chip("v6e")
    pod = torus.lay_out(axes(fsdp=16, context=4), chip, "v6e:8x8")
    row, link = pod.along(("context",)), chip.link_bytes_per_second
    assert [pod.places[i][1:3] for i in row] == [(0, 0), (1, 0), (2, 0), (3, 0)]
    assert pod.bandwidth(row, chip) == link
    # A column is a line; four pairs share what lies between the halves.
    assert pod.bandwidth(pod.along(("fsdp",)), chip) == 1.25 * link
    assert pod.bandwidth(pod.along(("fsdp", "context")), chip) == 2 * link


REAL = """
import json, sys
from videogen.cost.pod import Pod
from videogen.cost.worker import devices_of
from videogen.parallel.mesh import MeshConfig, make_mesh
for topology, slices, axes in json.loads(sys.argv[1]):
    mesh = make_mesh(MeshConfig(**axes), devices_of(topology, slices))
    print(json.dumps(Pod.of(mesh).places))
"""
LAID = [
    ("v5e:4x4", 1, axes(fsdp=8, context=2)),
    ("v5p:2x2x4", 1, axes(fsdp=4, context=4)),
    ("v6e:4x8", 1, axes(fsdp=8, context=4)),
    ("v6e:8x8", 1, axes(fsdp=16, context=4)),
    ("tpu7x:2x2x2", 1, axes(fsdp=8, context=2)),
    ("v5p:2x2x2", 2, axes(replica=4, fsdp=2, context=2)),
]


@pytest.mark.tpu  # libtpu describes slices; nothing is compiled
def test_places_are_those_of_the_real_slice(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", REAL, json.dumps(LAID)],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for (topology, slices, sizes), line in zip(
        LAID, done.stdout.splitlines(), strict=True
    ):
        chip = find_chip(topology.partition(":")[0])
        pod = torus.lay_out(sizes, chip, topology, slices)
        assert pod.places == tuple(map(tuple, json.loads(line))), topology
