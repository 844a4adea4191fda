"""HBM that a step takes on one device, term by term.

The peak is taken where the last layer runs back: all layers are kept, the gradients have
their room, and one layer is whole, with all that it computes.
"""

from videogen.cost.analytic.layout import Layout
from videogen.cost.analytic.rates import BLOCK
from videogen.cost.analytic.stored import Stored
from videogen.cost.analytic.work import Work

LAYERS_WHOLE = 2  # the one in use and the next, which is gathered meanwhile


def peak_bytes(
    work: Work, products: Work, stored: Stored, layout: Layout, global_batch: int
) -> dict[str, float]:
    """The terms of the peak by name. products: the work under remat="dots"."""
    clips = layout.clips(global_batch) / layout.microbatches
    return {
        "state": stored.state,
        "gradients": gradient_bytes(stored, layout),
        "kept": kept_bytes(work, layout, clips),
        "layer": block_bytes(products, layout, clips),
        "weights": layer_weight_bytes(products, stored),
    }


def gradient_bytes(stored: Stored, layout: Layout) -> float:
    """float32 parameters / shards; twice where parts of a batch are added up."""
    return stored.gradients * (1 + (layout.microbatches > 1))


def kept_bytes(work: Work, layout: Layout, clips: float) -> float:
    """clips x what the policy keeps of all layers, and weights that it keeps whole."""
    kept = sum(stack.kept.over(layout.tensor) for stack in work.stacks)
    weights = sum(stack.weights.over(layout.tensor) for stack in work.stacks)
    return clips * kept + weights


def block_bytes(products: Work, layout: Layout, clips: float) -> float:
    """BLOCK x clips x results of one layer's products: what "dots" keeps / layers."""
    layers = [s.kept.over(layout.tensor) / s.layers for s in products.stacks]
    return BLOCK * clips * max(layers, default=0.0)


def layer_weight_bytes(products: Work, stored: Stored) -> float:
    """Layers gathered in bfloat16, and the gradient of one before it is scattered."""
    layers = sum(stack.layers for stack in products.stacks) or 1
    return (LAYERS_WHOLE + 1) * stored.whole / layers
