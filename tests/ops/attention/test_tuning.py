"""Block sizes: the table, what stands in for what it lacks, and sparse masks."""

import numpy as np
import pytest

from videogen.ops.attention import steps
from videogen.ops.attention.mask import Mask
from videogen.ops.attention.pallas_tpu import tuning
from videogen.ops.attention.patterns import BlockCausal, Window, grid_coords
from videogen.parallel.chips import CHIPS, find_chip

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
    for choose in (tuning.forward_blocks, tuning.backward_blocks):
        blocks = choose(chip, head_dim, tokens, tokens, None)
        assert blocks.q < tokens + 256 and blocks.kv < tokens + blocks.step
    assert tuning.queries_in_vmem(chip, head_dim, blocks) >= blocks.q


def test_dq_leaves_vmem_when_it_must():
    v5p = find_chip("v5p")
    blocks = tuning.backward_blocks(v5p, 128, 262_144, 262_144, None)
    assert tuning.queries_in_vmem(v5p, 128, blocks) < 262_144


@pytest.mark.parametrize("pattern", (Window(frames=1), BlockCausal(chunk=4)))
def test_static_masks_get_blocks_of_their_own(pattern):
    """No candidate has fewer pairs of tokens to visit, fixed costs counted."""
    coords = grid_coords((32, 16, 16))
    mask, N = pattern.mask(coords, coords), len(coords)
    chosen = tuning.forward_blocks(find_chip("v6e"), 128, N, N, mask)

    def live_pairs(q, kv):
        flags = steps.forward_steps(mask, N, N, q, kv).flags
        return ((flags & steps.LIVE) != 0).sum() * q * kv

    assert live_pairs(chosen.q, chosen.kv) <= 1.5 * live_pairs(512, 512)
    assert live_pairs(chosen.q, chosen.kv) < N * N


def test_a_dynamic_mask_gets_the_tables():
    import jax.numpy as jnp

    ids = jnp.zeros((1, 1, 4096), jnp.int32)
    mask, v6e = Mask(q_RFN=ids, kv_RFS=ids, bounds=((0, 0),)), find_chip("v6e")
    want = tuning.nearest(v6e, 128, 4096).forward.fit(4096, 4096)
    assert tuning.forward_blocks(v6e, 128, 4096, 4096, mask) == want
