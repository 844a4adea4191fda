"""The TPU compiler takes the kernels: every chip, every shape, masks of both kinds."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from videogen.cost.compile import NO_TPU
from videogen.ops.attention import AttentionPlan
from videogen.ops.attention.across import MOST_ROWS, Across
from videogen.ops.attention.pallas_tpu import Blocks, tuning
from videogen.ops.attention.patterns import BlockCausal, Window, grid_coords
from videogen.ops.attention.specs import SPECS
from videogen.ops.modulated_norm import on_device
from videogen.parallel.chips import CHIPS

pytestmark = pytest.mark.tpu
SMALL = Blocks(q=512, kv=512, step=256), Blocks(q=512, kv=512, step=256)
every_chip = pytest.mark.parametrize("chip", CHIPS)


@pytest.fixture
def compiled(monkeypatch):
    """A function that compiles attention and its gradients for a chip."""
    for name, value in NO_TPU.items():
        monkeypatch.setenv(name, value)
    from jax.experimental import topologies

    def compile_for(
        chip,
        shape,
        *,
        blocks=None,
        pattern=None,
        bound=None,  # of the logits: leaves one mode of three to compile
        dtype=jnp.bfloat16,
        **more,
    ):
        B, N, S, K, G, E = shape
        name = CHIPS[chip].topology
        devices = topologies.get_topology_desc(name, platform="tpu").devices
        mesh = Mesh(np.array(devices[:1]), ("one",))
        plan = AttentionPlan(
            implementation="pallas_tpu", chip=chip, blocks=blocks, pattern=pattern
        )

        def abstract(*sizes, dtype=dtype):
            sharding = NamedSharding(mesh, PartitionSpec())
            return jax.ShapeDtypeStruct(sizes, dtype, sharding=sharding)

        static = {k: v for k, v in more.items() if isinstance(v, np.ndarray)}
        dynamic = {
            name: abstract(*sizes, dtype=jnp.int32)
            for name, sizes in more.items()
            if name not in static
        }

        def both(q, k, v, do, dynamic):
            call = partial(plan.transposed, **static, **dynamic, logit_bound=bound)
            o, pull = jax.vjp(call, q, k, v)
            return o, *pull(do)

        q, k, v = abstract(B, K, E, N), abstract(B, G, S, E), abstract(B, G, E, S)
        with jax.set_mesh(mesh):
            traced = jax.jit(both).trace(q, k, v, q, dynamic)
            return traced.lower(lowering_platforms=("tpu",)).compile()

    return compile_for


@every_chip
@pytest.mark.parametrize("E", (32, 33, 64, 72, 80, 96, 128, 250, 256))
def test_every_head_dim(compiled, chip, E):
    """All three modes where it fills no register; elsewhere that of bounded logits."""
    bound = None if E in (33, 250) else 20.0
    compiled(chip, (1, 1000, 700, 2, 1, E), blocks=SMALL, bound=bound)


@every_chip
def test_kernels_without_products(monkeypatch, chip):
    """Across frames, with places that fill no register; the norm of the widest models."""
    for name, value in NO_TPU.items():
        monkeypatch.setenv(name, value)
    from jax.experimental import topologies

    name = CHIPS[chip].topology
    devices = topologies.get_topology_desc(name, platform="tpu").devices
    place = NamedSharding(Mesh(np.array(devices[:1]), ("one",)), PartitionSpec())

    def abstract(*sizes, dtype=jnp.bfloat16):
        return jax.ShapeDtypeStruct(sizes, dtype, sharding=place)

    def both(across_q, x, vector):
        across = Across(rows=MOST_ROWS, scale=1.0)
        o, pull_o = jax.vjp(across, across_q, across_q, across_q)
        y, pull_y = jax.vjp(on_device, x, vector, vector)
        return *pull_o(o), *pull_y(y)

    q, x = abstract(MOST_ROWS, 2, 72, 200), abstract(2, 4112, 5120)
    traced = jax.jit(both).trace(q, x, abstract(2, 1, 5120, dtype=jnp.float32))
    traced.lower(lowering_platforms=("tpu",)).compile()


@every_chip
@pytest.mark.parametrize("N, S", ((1, 1), (16, 300), (320, 32), (1000, 512)))
def test_few_tokens(compiled, chip, N, S):
    compiled(chip, (2, N, S, 2, 2, 64))


@every_chip
def test_masks_of_both_kinds(compiled, chip):
    coords = grid_coords((8, 16, 16))
    known = {"q_coords_BN4": coords, "kv_coords_BS4": coords}
    for pattern in (Window(frames=1, rows=3), BlockCausal(chunk=2)):
        compiled(
            chip, (1, 2048, 2048, 2, 2, 128), blocks=SMALL, pattern=pattern, **known
        )
    later = {"q_segments_BN": (2, 2000), "kv_segments_BS": (2, 1500)}
    compiled(chip, (2, 2000, 1500, 2, 2, 128), blocks=SMALL, **later)


def test_float32(compiled):
    compiled("v6e", (1, 1000, 1000, 2, 2, 64), blocks=SMALL, dtype=jnp.float32)


@pytest.mark.parametrize("chip", ("v5p", "tpu7x"))  # the least VMEM
@pytest.mark.parametrize(
    "shape, dtype",
    (
        ((2, 2048, 77, 16, 16, 128), jnp.bfloat16),
        ((2, 4096, 77, 16, 16, 256), jnp.bfloat16),
        ((1, 75_600, 512, 40, 40, 128), jnp.bfloat16),
        ((1, 32_768, 32_768, 2, 2, 128), jnp.float32),
    ),
    ids=("few keys", "wide heads", "text of Wan-14B", "float32"),
)
def test_tuned_blocks_fit_in_vmem(compiled, chip, shape, dtype):
    """Those that a model gets which says nothing of blocks, several heads a step."""
    compiled(chip, shape, bound=20.0, dtype=dtype)


@every_chip
def test_memory_is_linear_in_the_tokens(compiled, chip):
    def peak(N):
        program = compiled(chip, (1, N, N, 1, 1, 128), blocks=SMALL, bound=20.0)
        return program.memory_analysis().peak_memory_in_bytes

    assert peak(16_384) < 2.2 * peak(8192)


# Every published shape on one chip or another, and the heaviest on all of them: the body of
# a kernel depends on the head dim and on what is left over by the blocks.
VIDEO = [name for name in SPECS if "video" in SPECS[name].tags]
REAL = list(zip(VIDEO, itertools.cycle(CHIPS), strict=False))
REAL += [("wan_14b_720p_81f", chip) for chip in CHIPS]


@pytest.mark.parametrize("name, chip", sorted(set(REAL)))
def test_real_shapes(compiled, name, chip):
    """As they are. Heads are a loop's length, but where several share a step."""
    spec = SPECS[name]
    compiled(chip, (1, spec.N, spec.S, spec.K, spec.G, spec.E), bound=20.0)


def test_every_mode_at_full_size(compiled):
    compiled("v6e", (1, 75_600, 75_600, 1, 1, 128))


@every_chip
def test_dq_of_75600_queries_stays_in_vmem(compiled, chip):
    shape = tuning.Shape(K=10, G=10, E=128, N=75_600, S=75_600)
    blocks = tuning.backward_blocks(CHIPS[chip], shape, None)
    assert tuning.queries_in_vmem(CHIPS[chip], shape, blocks, None) >= 75_600
