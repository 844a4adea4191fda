"""The ring: every pair of shards meets once, with no byte more than the formula."""

import numpy as np
import pytest
from eight_devices import run_on_eight_devices
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks import ring as compiled
from videogen.ops.attention.exchange import num_transfers, plan_hops


def follow(hops, size):
    """(which keys each device meets, whose gradients come home), by doing what is said."""
    met = np.eye(size, dtype=int)
    home = np.eye(size, dtype=int)
    keys, passed = {0: np.arange(size)}, {}
    for hop in hops[1:]:
        keys[hop.shift] = np.full(size, -1)
        for source, target in hop.pairs:
            keys[hop.shift][target] = keys[hop.before][source]
            assert keys[hop.shift][target] == (target - hop.shift) % size
        for device, shard in enumerate(keys[hop.shift]):
            met[device, shard] += shard >= 0
        # The devices whose share of a gradient each device holds after this hop.
        held = [{i} if keys[hop.shift][i] >= 0 else set() for i in range(size)]
        for source, target in hop.pairs:
            held[target] |= passed.get(hop.before, {}).get(source, set())
        passed[hop.shift] = {i: held[i] for i in range(size)}
        for source, target in hop.home:
            for device in passed[hop.shift].pop(source):
                home[device, target] += 1
    return met, home


@st.composite
def live_shards(draw):
    size = draw(st.integers(2, 9))
    return draw(arrays(bool, (size, size)))


@given(live_shards())
@settings(max_examples=100, deadline=None)
def test_everyone_meets_the_keys_that_it_needs_once(live):
    hops = plan_hops(len(live), live)
    met, home = follow(hops, len(live))
    assert met.max() == 1
    assert (met >= live).all()
    np.testing.assert_array_equal(met, home)
    assert num_transfers(hops) == met.sum() - len(live)
    for hop in hops:  # a permutation, in part
        for pairs in (hop.pairs, hop.home):
            sources, targets = zip(*pairs, strict=True) if pairs else ((), ())
            assert len(set(sources)) == len(set(targets)) == len(pairs)


@pytest.mark.parametrize("size", (2, 3, 4, 8))
def test_the_fewest_transfers(size):
    i, j = np.indices((size, size))
    for live, transfers in (
        (np.ones((size, size), bool), size * (size - 1)),
        (abs(i - j) <= 1, 2 * (size - 1)),
        (i >= j, size * (size - 1) // 2),
        (i == j, 0),
    ):
        hops = plan_hops(size, live)
        assert num_transfers(hops) == transfers == (live & (i != j)).sum()
    assert max(abs(hop.shift) for hop in plan_hops(size)) == size // 2


BYTES = """
import functools, re, jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
from videogen.ops.attention.exchange import make_ring, ring_bytes
from videogen.ops.attention.partition import partitioned
from videogen.ops.attention.patterns import BlockCausal, Window, grid_coords
from videogen.ops.attention.xla import XlaKernel

B, K, G, E, N = 1, 4, 2, 8, 128
COORDS = grid_coords((32, 2, 2))
LIVE = {
    None: lambda i, j: i >= 0,
    Window(frames=2, rows=1, columns=1): lambda i, j: abs(i - j) <= 1,
    BlockCausal(chunk=4): lambda i, j: i >= j,
}

def sent(compiled):
    total = 0
    for line in compiled.as_text().splitlines():
        found = re.search(r"= f32\\[([\\d,]+)\\]\\S* collective-permute\\(", line)
        if found:
            pairs = line.split("source_target_pairs={{")[1].split("}}")[0]
            total += 4 * np.prod(eval(found[1])) * len(pairs.split("},{"))
    return total

q, k, v = (jax.ShapeDtypeStruct(shape, jnp.float32)
           for shape in ((B, K, E, N), (B, G, N, E), (B, G, E, N)))
for size, pattern in ((4, None), (8, None), *((8, p) for p in list(LIVE)[1:])):
    mesh = Mesh(np.array(jax.devices()[:size]), ("context",))
    mask = pattern and pattern.mask(COORDS, COORDS)
    f = functools.partial(partitioned, XlaKernel(), mesh, mask=mask, scale=1.0, ring=size)
    live = np.fromfunction(LIVE[pattern], (size, size), dtype=int)
    ring = make_ring("context", size, live=live)
    forward, backward = ring_bytes(ring, 2 * B * G * (N // size) * E, 4)
    transfers = (live & ~np.eye(size, dtype=bool)).sum()
    assert forward == transfers * 2 * B * G * (N // size) * E * 4
    assert backward == 2 * forward  # the gradients of both, besides the keys
    got = sent(jax.jit(f).lower(q, k, v).compile())
    assert got == forward, (size, pattern, got, forward)
    saved = jax.checkpoint_policies.save_only_these_names("attention_o", "attention_lse")
    for g in (f, jax.checkpoint(f, policy=saved)):
        o, pull = jax.eval_shape(functools.partial(jax.vjp, g), q, k, v)
        got = sent(jax.jit(lambda pull, o: pull(o)).lower(pull, o).compile())
        assert got == backward, (size, pattern, got, backward)
    print("equal")
"""


def test_bytes_in_the_program_are_those_of_the_formula():
    """Nothing but neighbours for a window; saved names spare a second forward."""
    assert run_on_eight_devices(BYTES, timeout=120).count("equal") == 4


STEPS = """
import functools, jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh
from videogen.ops.attention.partition import partitioned
from videogen.ops.attention.patterns import Window, grid_coords
from videogen.ops.attention.steps import backward_steps, forward_steps
from videogen.ops.attention.xla import XlaKernel

class Counting(XlaKernel):
    def forward(self, q, k, v, mask, *args, **keywords):
        count(forward_steps, q, k, mask)
        return super().forward(q, k, v, mask, *args, **keywords)

    def backward(self, q, k, v, mask, *args, **keywords):
        count(backward_steps, q, k, mask.queries(slice(0, 64)))
        return super().backward(q, k, v, mask, *args, **keywords)

def count(make_steps, q, k, mask):
    assert isinstance(mask.q_RFN, jax.Array)
    num_q, num_kv = mask.q_RFN.shape[2], k.shape[2]
    steps = make_steps(mask, num_q, num_kv, 16, 16).flags.shape[1]
    counts.append((steps, num_q * num_kv // 256))

counts, N = [], 512
coords = grid_coords((32, 4, 4))
mask = Window(frames=1).mask(coords, coords)
q, k = jnp.ones((1, 1, 8, N)), jnp.ones((1, 1, N, 8))
f = functools.partial(partitioned, Counting(), Mesh(np.array(jax.devices()[:4]), "context"),
                      mask=mask, scale=1.0, ring=4)
jax.jit(jax.grad(lambda *x: f(*x).sum())).lower(q, k, q)
# Forward: own frames (three blocks for each of 8, less two at the ends), then one
# neighbour's frame for one of 8. Backward: own keys in two halves, queries in parts of 4.
assert counts[:3] == [(22, 64), (8, 64), (8, 64)], counts
assert [most for _, most in counts[3:]] == [16, 32, 32, 16], counts
assert all(steps < 0.7 * most for steps, most in counts[3:]), counts
print("few")
"""


def test_a_static_mask_stays_as_short_as_it_is_in_a_ring():
    assert "few" in run_on_eight_devices(STEPS, timeout=60)


PALLAS = """
import functools, jax, jax.numpy as jnp, numpy as np
from jax.experimental.pallas import tpu as pltpu
from jax.sharding import Mesh
from videogen.ops.attention.pallas_tpu import Blocks, PallasTpuKernel
from videogen.ops.attention.partition import partitioned
from videogen.ops.attention.patterns import Window, grid_coords, segments_mask
from videogen.ops.attention.ring import attend
from videogen.ops.attention.xla import XlaKernel

case = CASE
tile = Blocks(q=128, kv=128, step=128, heads=case.get("heads", 1))
kernel = PallasTpuKernel(chip="v5e", forward_blocks=tile, backward_blocks=tile,
                         interpret=pltpu.InterpretParams(detect_races=True))
B, K, G, E, N = 1, case["K"], case["G"], 32, 500
shapes = (B, K, E, N), (B, G, N, E), (B, G, E, N), (B, K, E, N)
dtype = case.get("dtype", "float32")
inputs = [jax.random.normal(key, shape, dtype)
          for key, shape in zip(jax.random.split(jax.random.key(0), 4), shapes)]
if case.get("window"):
    coords = grid_coords((8, 8, 8))[:N]
    mask = Window(frames=1).mask(coords, coords)
else:
    ids = np.sort(np.arange(N)[None] % 3).astype(np.int32)
    mask = jax.tree.map(jnp.asarray, segments_mask(ids, ids))

def run(f):
    def both(q, k, v, do, mask):
        o, pull = jax.vjp(lambda *x: f(*x, mask, scale=case.get("scale", 0.2)), q, k, v)
        return o, *pull(do)
    if case.get("window"):
        return jax.jit(lambda *x: both(*x, mask))(*inputs)
    return jax.jit(both)(*inputs, mask)

mesh = Mesh(np.array(jax.devices()[:case["devices"]]), ("context",))
more = {name: case[name] for name in ("ring", "kv_replicated") if name in case}
got = run(functools.partial(partitioned, kernel, mesh, **more))
for x, want in zip(got, run(functools.partial(attend, XlaKernel()))):
    size = float(np.abs(np.asarray(want, np.float32)).max())
    tolerance = (2e-5 if dtype == "float32" else 3e-2) * max(1.0, size)
    np.testing.assert_allclose(np.asarray(x, np.float32),
                               np.asarray(want, np.float32), atol=tolerance)
print("same")
"""
SHARDS = {
    "ring of 4, window": {"devices": 4, "K": 2, "G": 1, "ring": 4, "window": True},
    "ulysses of 2": {"devices": 2, "K": 4, "G": 2, "dtype": "bfloat16", "heads": 2},
    "2 x ring of 2": {"devices": 4, "K": 2, "G": 2, "scale": 8.0},
    "text": {"devices": 2, "K": 2, "G": 2, "kv_replicated": True},
}


@pytest.mark.slow(reason="15 to 40 s each: Pallas' interpreter on some devices")
@pytest.mark.parametrize("case", SHARDS.values(), ids=SHARDS)
def test_shards_by_the_kernels_of_the_tpu(case):
    """Padded tokens, static and dynamic masks, any mode, with race detection.

    Eight devices at once would wait for each other on fewer cores than that.
    """
    script = PALLAS.replace("case = CASE", f"case = {case!r}")
    output = run_on_eight_devices(script, timeout=200)
    assert "same" in output and "RACE DETECTED" not in output


MODULE = """HloModule ring
ENTRY main {
  p = bf16[2,8]{1,0} parameter(0)
  a = (bf16[2,8], bf16[2,8]) collective-permute-start(p), source_target_pairs={{0,1},{1,0}}
  b = (f32[4], f32[4]) collective-permute-start(p), source_target_pairs={{0,1}}
  b.done = f32[4]{0} collective-permute-done(b)
  k = bf16[2,8]{1,0} custom-call(p), custom_call_target="tpu_custom_call"
  a.done = bf16[2,8]{1,0} collective-permute-done(a)
}
"""


def test_a_transfer_that_hides_behind_nothing_is_seen():
    text = MODULE.replace("main {", "main (p: bf16[2,8]) -> bf16[2,8] {")
    exposed, hidden = compiled.transfers(text)
    assert (exposed.kernels, exposed.bytes) == (0, 16)
    assert (hidden.kernels, hidden.bytes) == (1, 64)


@pytest.mark.tpu
@pytest.mark.parametrize(
    "topology, case",
    [
        ("v5e:2x4", {"ring": 4, "backward": True}),
        ("v5p:2x2x2", {"ring": 8, "backward": True}),
        ("v6e:2x4", {"ring": 8, "backward": True, "window": 4}),
    ],
)
def test_each_transfer_starts_before_and_ends_after_a_kernel(topology, case):
    found = list(compiled.transfers(compiled.compile_text(topology, **case)))
    assert found and all(transfer.kernels for transfer in found)
    rings = compiled.NUM_DEVICES // case["ring"]
    assert sum(transfer.bytes for transfer in found) == rings * compiled.formula(**case)
