"""The conditions every family accepts, as keywords, so that no caller branches on the model.

text_BLD        float  token embeddings of the caption, by the first text encoder
text_mask_BL    bool   which of them are tokens
text2_BLX, text2_mask_BL, text3_BLX, text3_mask_BL: of further encoders
pooled_BX       float  one vector of the whole caption (CLIP's)
label_B         int32  class, -1 for none
image_BLX       float  token embeddings of an image, by an image encoder
given_BFHWC     float  what is given of the video, as channels beside the noisy latent: clean
                       frames, and masks that say which; shapes as the model's docstring says
guidance_B      float  the guidance that a distilled network imitates
fps_B           float  frames per second
heard_B         bool   whether the clip has sound, for networks of sound too
"""

from collections.abc import Callable

from videogen.core.types import Batch, Params, Parts
from videogen.nn.fence import Network
from videogen.nn.log_variance import apart

NAMES = (
    *("text_BLD", "text_mask_BL", "label_B"),
    *("text2_BLX", "text2_mask_BL", "text3_BLX", "text3_mask_BL", "pooled_BX"),
    *("image_BLX", "given_BFHWC", "guidance_B", "fps_B", "heard_B"),
)


def bind(
    network: Network, params: Params, batch: Batch
) -> Callable[[Parts, Parts], Parts]:
    """(x_t, t) -> velocity, with the parameters and the batch's conditions filled in."""
    conditions = {name: batch[name] for name in NAMES if name in batch}
    params, _ = apart(params)

    def velocity(x_t: Parts, t: Parts) -> Parts:
        return network.apply(params, x_t, t, **conditions)

    return velocity
