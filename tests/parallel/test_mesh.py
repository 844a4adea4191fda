"""The mesh's sizes, and the errors of sizes that cannot work."""

from types import SimpleNamespace

import pytest

from videogen.core.errors import ConfigError
from videogen.parallel.mesh import AXES, MeshConfig, make_mesh, num_slices


def test_default_gives_every_device_to_fsdp():
    assert MeshConfig().sizes(8) == (1, 8, 1, 1)


def test_rest_axis_takes_what_the_others_leave():
    assert MeshConfig(replica=2, fsdp=2, tensor=-1).sizes(8) == (2, 2, 1, 2)


@pytest.mark.parametrize(
    "sizes, parts",
    [
        ({"tensor": 3}, ["tensor=3", "8 devices", "[1, 2, 4, 8]"]),
        ({"fsdp": 4}, ["fsdp=4", "product is 4", "fsdp=8 (or fsdp=-1)"]),
        ({"fsdp": 3, "tensor": 3}, ["tensor=3", "axes whose product is 8"]),
        ({"fsdp": 8, "tensor": 2}, ["tensor=2", "fsdp=4"]),
        ({"fsdp": 0}, ["mesh.fsdp=0"]),
        ({"replica": -1}, ["only one axis", "replica and fsdp"]),
        ({"ring": 0}, ["mesh.ring=0", "at least 1, or None"]),
    ],
)
def test_impossible_sizes_name_the_axis_and_a_remedy(sizes, parts):
    with pytest.raises(ConfigError) as error:
        MeshConfig(**sizes).sizes(8)
    message = str(error.value)
    assert "\n" not in message
    assert all(part in message for part in parts), message


def test_a_copy_of_the_parameters_lies_in_one_slice():
    devices = [SimpleNamespace(platform="tpu", slice_index=i // 4) for i in range(8)]
    assert num_slices(devices) == 2
    said = "mesh.replica=3: .* 2 slices, .*; a multiple of 2 would work"
    with pytest.raises(ConfigError, match=said):
        make_mesh(
            MeshConfig(replica=3, fsdp=2, tensor=1), [*devices, *devices[:-2]][:6]
        )


def test_make_mesh_has_all_four_axes_on_one_device():
    mesh = make_mesh(MeshConfig())
    assert mesh.axis_names == AXES
    with pytest.raises(ConfigError, match="product is 4 but there are 1 devices"):
        make_mesh(MeshConfig(fsdp=4))
