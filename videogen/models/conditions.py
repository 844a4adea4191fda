"""The conditions every family accepts, as keywords, so that no caller branches on the model.

text_BLD       float  token embeddings of the caption
text_mask_BL   bool   which of them are tokens
label_B        int32  class, -1 for none
"""

from collections.abc import Callable

from videogen.core.types import Array, Batch, Params
from videogen.nn.fence import Network

NAMES = ("text_BLD", "text_mask_BL", "label_B")


def bind(
    network: Network, params: Params, batch: Batch
) -> Callable[[Array, Array], Array]:
    """(x_t, t_B) -> velocity, with the parameters and the batch's conditions filled in."""
    conditions = {name: batch[name] for name in NAMES if name in batch}

    def velocity(x_t: Array, t_B: Array) -> Array:
        return network.apply(params, x_t, t_B, **conditions)

    return velocity
