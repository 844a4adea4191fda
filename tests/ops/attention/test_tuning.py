"""Block sizes: the table, what stands in for what it lacks, and sparse masks."""

import jax.numpy as jnp
import numpy as np
import pytest

from videogen.ops.attention import steps
from videogen.ops.attention.mask import Mask
from videogen.ops.attention.pallas_tpu import tuning
from videogen.ops.attention.patterns import BlockCausal, Window, grid_coords
from videogen.parallel.chips import CHIPS, find_chip


def shape(N, E=128, K=12, G=12, **more):
    return tuning.Shape(K=K, G=G, E=E, N=N, S=N, **more)


every_chip = pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)


@every_chip
def test_a_row_of_the_table_is_found(chip):
    row = tuning.nearest(chip, 128, 32_768)
    assert (row.chip, row.head_dim, row.tokens) == (chip.name, 128, 32_768)


def test_the_nearest_row_stands_in():
    rows = [row for row in tuning.table() if row.chip == "v6e"]
    for head_dim in (32, 72, 100, 250):
        nearest = tuning.nearest(find_chip("v6e"), head_dim, 9_000)
        ratios = [abs(np.log(row.head_dim / head_dim)) for row in rows]
        assert abs(np.log(nearest.head_dim / head_dim)) == min(ratios)


@every_chip
@pytest.mark.parametrize("tokens", (1, 77, 320, 5_000, 75_600, 262_144))
@pytest.mark.parametrize("head_dim", (32, 72, 128, 256))
def test_sizes_fit_the_tokens_and_vmem(chip, tokens, head_dim):
    for itemsize in (2, 4):
        sizes = shape(tokens, head_dim, itemsize=itemsize)
        ahead = tuning.forward_blocks(chip, sizes, None)
        back = tuning.backward_blocks(chip, sizes, None)
        for blocks in (ahead, back):
            assert blocks.q < tokens + 256 and blocks.kv < tokens + blocks.step
        assert tuning.forward_bytes(sizes, ahead, None) <= chip.vmem_bytes
        assert tuning.queries_in_vmem(chip, sizes, back, None) >= back.q


def test_dq_leaves_vmem_when_it_must():
    v5p = find_chip("v5p")
    blocks = tuning.backward_blocks(v5p, shape(262_144), None)
    assert tuning.queries_in_vmem(v5p, shape(262_144), blocks, None) < 262_144


def test_key_blocks_stay_long_beside_all_of_dq():
    """One buffer of the keys' windows, and blocks no shorter than must be."""
    tpu7x, sizes = find_chip("tpu7x"), shape(75_600, grad_itemsize=2)
    blocks = tuning.backward_blocks(tpu7x, sizes, None)
    assert blocks.buffers == 1 and blocks.kv > tuning.LONG
    assert tuning.queries_in_vmem(tpu7x, sizes, blocks, None) >= sizes.N
    assert tuning.backward_blocks(tpu7x, shape(8_192), None).buffers == 2


@pytest.mark.parametrize("pattern", (Window(frames=1), BlockCausal(chunk=4)))
def test_static_masks_get_blocks_of_their_own(pattern):
    """No candidate has fewer pairs of tokens to visit, fixed costs counted."""
    coords = grid_coords((32, 16, 16))
    mask, N = pattern.mask(coords, coords), len(coords)
    chosen = tuning.forward_blocks(find_chip("v6e"), shape(N), mask)

    def live_pairs(q, kv):
        flags = steps.forward_steps(mask, N, N, q, kv).flags
        return ((flags & steps.LIVE) != 0).sum() * q * kv

    assert live_pairs(chosen.q, chosen.kv) <= 1.5 * live_pairs(512, 512)
    assert live_pairs(chosen.q, chosen.kv) < N * N


def dynamic_mask(N, rows=1):
    ids = jnp.zeros((rows, 1, N), jnp.int32)
    return Mask(q_RFN=ids, kv_RFS=ids, bounds=((0, 0),))


@every_chip
@pytest.mark.parametrize("rows, N", ((1, 4_096), (1, 119_000), (2, 262_144)))
def test_a_dynamic_mask_gets_small_blocks_but_no_endless_list(chip, rows, N):
    for choose in (tuning.forward_blocks, tuning.backward_blocks):
        blocks = choose(chip, shape(N), dynamic_mask(N, rows))
        assert blocks.q * blocks.kv <= 1024 * 4096
        cells = rows * -(-N // blocks.q) * -(-N // blocks.kv)
        assert cells <= tuning.LONGEST_LIST


@every_chip
@pytest.mark.parametrize("K, G", ((12, 12), (24, 8), (5, 5), (6, 1), (40, 40)))
@pytest.mark.parametrize("N", (64, 1_000, 30_000))
def test_small_blocks_share_a_step(chip, K, G, N):
    """Heads divide, key heads go round, cores get as many, and no step is too long."""
    sizes = shape(N, K=K, G=G)
    for blocks in (
        tuning.forward_blocks(chip, sizes, None),
        tuning.backward_blocks(chip, sizes, None),
        tuning.forward_blocks(chip, sizes, dynamic_mask(N)),
    ):
        heads, shared = blocks.heads, K // G
        assert K % heads == 0 and (heads % shared == 0 or shared % heads == 0)
        assert heads == 1 or heads * blocks.q * blocks.kv <= tuning.PAIRS_PER_STEP
        if K % 2 == 0:
            assert K // heads % chip.cores_per_device == 0
    if N == 64:
        assert heads == K // chip.cores_per_device or K % chip.cores_per_device


def test_heads_share_a_step_only_while_dq_stays_in_vmem():
    v5p = find_chip("v5p")
    few, many = (
        tuning.backward_blocks(v5p, shape(N), dynamic_mask(N)) for N in (8_192, 75_776)
    )
    assert few.heads > many.heads == 1
    sizes = shape(75_776)
    assert tuning.queries_in_vmem(v5p, sizes, many, dynamic_mask(8_192)) >= sizes.N


def test_modes_may_have_sizes_of_their_own():
    row = {"chip": "v6e", "head_dim": 128, "tokens": 9, "backward": [512, 2048, 256]}
    row |= {"none": [2048, 4096, 256], "bounded": [1024, 4096, 256]}
    tuned = tuning.read_row(row)
    assert [tuned.forward[mode].q for mode in tuning.MODES] == [2048, 1024, 2048]
