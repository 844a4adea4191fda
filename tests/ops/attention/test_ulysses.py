"""Swapping heads for tokens moves every element to where it is said to be, and back."""

import jax.numpy as jnp
import numpy as np
import pytest
from eight_devices import run_on_eight_devices
from hypothesis import given, settings
from hypothesis import strategies as st

from videogen.ops.attention.ulysses import repeat_heads


@st.composite
def heads(draw):
    """(query heads, key/value heads, devices): both others divide the first."""
    kv_heads, per_kv_head = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    query_heads = kv_heads * per_kv_head
    divisors = [d for d in range(1, query_heads + 1) if query_heads % d == 0]
    return query_heads, kv_heads, draw(st.sampled_from(divisors))


@settings(deadline=None)
@given(heads())
def test_a_query_head_reads_a_copy_of_the_head_that_it_read_before(sizes):
    K, G, devices = sizes
    repeated = np.asarray(repeat_heads(jnp.arange(G)[None], devices)[0])
    assert len(repeated) == np.lcm(G, devices)
    q_share, kv_share = K // devices, len(repeated) // devices
    for h in range(K):
        device, local = divmod(h, q_share)
        read = device * kv_share + local // (q_share // kv_share)
        assert repeated[read] == h // (K // G)


SWAP = """
import re, jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
from videogen.ops.attention.ulysses import Ulysses

size, count = 8, 4
B, K, G, E, N = 2, 12, 6, EVERY, 32
mesh = Mesh(np.array(jax.devices()), ("context",))
swap = Ulysses(axis="context", size=size, count=count)
q, k, v = (jnp.arange(float(np.prod(shape))).reshape(shape)
           for shape in ((B, K, E, N), (B, G, N, E), (B, G, E, N)))
tokens_3, tokens_2 = P(None, None, None, "context"), P(None, None, "context")

def local(q, k, v):
    shares = swap.gather_tokens(q, k, v)
    return *(x[None] for x in shares), swap.scatter_tokens(shares[0])

cut = jax.jit(jax.shard_map(
    local, mesh=mesh, in_specs=(tokens_3, tokens_2, tokens_3),
    out_specs=(*[P("context")] * 3, tokens_3), check_vma=False))
*shares, back = cut(q, k, v)
np.testing.assert_array_equal(back, q)
k, v = (jnp.repeat(x, 2, axis=1) for x in (k, v))  # lcm(6, 4) = 12 heads
for p in range(size):
    ring, rank = divmod(p, count)
    tokens, heads = slice(16 * ring, 16 * ring + 16), slice(3 * rank, 3 * rank + 3)
    np.testing.assert_array_equal(shares[0][p], q[:, heads, :, tokens])
    np.testing.assert_array_equal(shares[1][p], k[:, heads, tokens])
    np.testing.assert_array_equal(shares[2][p], v[:, heads, :, tokens])
def back_and_forth(q):
    f = jax.shard_map(lambda q: swap.scatter_tokens(
        swap.gather_tokens(q, q.swapaxes(2, 3), q)[0] ** 2 / 2),
        mesh=mesh, in_specs=tokens_3, out_specs=tokens_3, check_vma=False)
    return f(q)

small = q / q.size
_, pull = jax.vjp(back_and_forth, small)
np.testing.assert_allclose(pull(2 * small)[0], 2 * small ** 2, rtol=1e-6)
text = cut.lower(q, k[:, ::2], v[:, ::2]).as_text()
assert text.count("stablehlo.all_to_all") == 4, text
assert not re.search("all_gather|all_reduce|collective_permute", text)
print("same")
"""


@pytest.mark.parametrize("head_dim", (2, 9, 16))
def test_tokens_and_heads_change_places(head_dim):
    script = SWAP.replace("EVERY", str(head_dim))
    assert "same" in run_on_eight_devices(script, timeout=60)
