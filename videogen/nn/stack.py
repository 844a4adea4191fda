"""Stacked blocks: jax.vmap to build, jax.lax.scan + jax.checkpoint to run.

One block is compiled, whatever the depth. Every parameter of the stack has a leading
`layers` dim, and shows outside the fence as e.g. "blocks.attn1.to_q.kernel".
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

from videogen.core.errors import ConfigError, suggest
from videogen.nn.linear import BIASED
from videogen.ops.attention import cudnn
from videogen.parallel.host_memory import DEVICE, HOST

Block = TypeVar("Block", bound=nnx.Module)

# ops/attention/ring.py names them.
SELF_NAMES = ("attention_o", "attention_lse")
NAMES = (*SELF_NAMES, "few_keys_o", "few_keys_lse")
INPUT = "block_input"

_names = jax.checkpoint_policies.save_only_these_names
_either = jax.checkpoint_policies.save_from_both_policies
_ATTENTION = _either(_names(*NAMES), cudnn.is_forward)

# What the backward pass keeps of a block's forward pass, from most memory to least.
# "none" keeps everything; "dots" what products of matrices and the attention made, so that
# only what is between them runs twice; "attention" is "full" without a second run of the
# attention; "self_attention" runs again what has fewer keys than queries (that of text);
# "offload" keeps what "attention" does, the block's input included, in the host's memory
# (but for what cuDNN made on a GPU: it has no name to be kept by, and is made again).
# Several, with commas, take turns: of "attention,full" every second block is either.
REMAT: dict[str, Callable[..., Any] | None] = {
    "none": None,
    "dots": _either(
        jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
        _either(_names(BIASED), _ATTENTION),
    ),
    "attention": _ATTENTION,
    "self_attention": _either(_names(*SELF_NAMES), cudnn.is_long_forward),
    "full": jax.checkpoint_policies.nothing_saveable,
    "offload": jax.checkpoint_policies.save_and_offload_only_these_names(
        names_which_can_be_saved=(),
        names_which_can_be_offloaded=(INPUT, *NAMES),
        offload_src=DEVICE,
        offload_dst=HOST,
    ),
}


def make_stack(make: Callable[[nnx.Rngs], Block], depth: int, rngs: nnx.Rngs) -> Block:
    """`depth` blocks as one: each parameter gains a leading `layers` dim."""
    keys = jax.random.split(rngs.params(), depth)
    return jax.vmap(lambda key: make(nnx.Rngs(key)))(keys)


def run_stack(
    blocks: Block, call: Callable[[Block, Any], Any], x: Any, *, remat: str = "none"
) -> Any:
    """x after `x = call(block, x)` for each block in order.

    Args:
      blocks: from `make_stack`.
      call: one block's step; it may close over arrays (conditions, positions).
      x: an array or a tree of arrays; `call` returns the same shapes and dtypes.
      remat: a name in REMAT, or several that take turns; of a stack that their number does
        not divide, the last one is every block's.
    """
    check_remat(remat)
    *others, last = remat.split(",")
    depth = jax.tree.leaves(blocks)[0].shape[0]

    def named(block: Block, x: Any) -> Any:
        return call(block, jax.tree.map(lambda leaf: checkpoint_name(leaf, INPUT), x))

    if others and depth % (len(others) + 1) == 0:
        calls = [_checkpointed(named, name) for name in (*others, last)]
        return run_turns(blocks, calls, x)

    def body(x: Any, block: Block) -> tuple[Any, None]:
        return named(block, x), None

    return jax.lax.scan(_checkpointed(body, last), x, blocks)[0]


def _checkpointed(call: Callable[[Any, Any], Any], remat: str) -> Callable[..., Any]:
    if REMAT[remat] is None:
        return call
    # Inside scan nothing can be shared with the forward pass: no barrier is needed.
    return jax.checkpoint(call, policy=REMAT[remat], prevent_cse=False)


def run_turns(
    blocks: Block,
    calls: Sequence[Callable[[Block, Any], Any]],
    x: Any,
    *,
    remat: str = "none",
) -> Any:
    """As `run_stack`, where block i is run by calls[i % len(calls)].

    `remat` holds for a turn of blocks together. The number of calls divides the depth.
    """

    def turn(blocks: Block, x: Any) -> Any:
        for place, call in enumerate(calls):
            x = call(jax.tree.map(lambda leaf, i=place: leaf[i], blocks), x)
        return x

    turns = jax.tree.map(
        lambda leaf: leaf.reshape(-1, len(calls), *leaf.shape[1:]), blocks
    )
    return run_stack(turns, turn, x, remat=remat)


def check_remat(name: str) -> None:
    """ConfigError unless `name` is a policy, or several with commas."""
    for part in name.split(","):
        if part not in REMAT:
            raise ConfigError(f"remat={part!r} is not a policy{suggest(part, REMAT)}")
