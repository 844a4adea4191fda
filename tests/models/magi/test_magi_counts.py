"""MAGI-1's published sizes: every parameter, a block's, and the work of a forward pass."""

import pytest

from videogen.models.magi.flops import forward_flops, num_pairs
from videogen.models.magi.model import make
from videogen.models.magi.sizes import PUBLISHED, magi_1_4_5b
from videogen.nn.fence import Network


@pytest.mark.parametrize(
    "name, block", [("magi_1_4_5b", 130_579_456), ("magi_1_24b", 497_087_488)]
)
def test_published_sizes_have_the_published_number_of_parameters(name, block):
    model = PUBLISHED[name]
    config = model.config
    shapes = Network.of(make(config)).abstract()
    assert sum(leaf.size for leaf in shapes.values()) == model.parameters
    blocks = sum(leaf.size for path, leaf in shapes.items() if "blocks." in path)
    assert blocks == config.depth * block
    d, matrices = config.width, 3 if config.mlp == "swiglu" else 2
    kv = config.num_kv_heads * config.head_dim
    attention = 4 * d * d + 4 * d * kv + 8 * config.head_dim
    mlp = matrices * d * config.mlp_width
    assert block == attention + mlp + 2 * d * (config.condition_dim + 1) + 8 * d


def test_a_chunk_of_24_frames_at_720p_has_the_published_number_of_tokens():
    config = magi_1_4_5b()
    assert num_pairs(config, (6, 90, 160, 16)) == 21_600**2
    assert num_pairs(config, (7, 90, 160, 16)) == (21_600 + 3_600) ** 2 - 21_600 * 3_600


def test_attention_costs_what_chunks_allow():
    """1 + 2 + 3 + 4 chunks' keys, not 4 times 4."""
    whole, causal = magi_1_4_5b(chunk=0), magi_1_4_5b()
    shape = (24, 90, 160, 16)
    assert num_pairs(causal, shape) / num_pairs(whole, shape) == 10 / 16
    saved = num_pairs(whole, shape) - num_pairs(causal, shape)
    work = forward_flops(whole, shape, 800) - forward_flops(causal, shape, 800)
    assert work == 4 * causal.depth * causal.width * saved
