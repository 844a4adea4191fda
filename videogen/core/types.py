"""The shape legend, once for the whole project.

Arrays carry their shape in the name's suffix, always the global (logical) shape:

    B  batch                F  latent frames       H W  latent height, width
    C  latent channels      N  video (query) tokens S   key/value tokens
    L  text tokens          D  model width         K    query heads
    G  key/value heads      E  head dim            M    MLP width
    P  numbers of a token   R   clips of a packed row
    T  pixel frames (only in tokenizers and data_pipelines, beside pixel height and width)

`q_BNKE` is a query of shape (batch, tokens, heads, head dim). `axis` is a mesh axis,
`dim` a tensor dimension. `t` is diffusion time in [0, 1], 0 = data, 1 = noise; `step`
is the optimiser's step.

Mesh axes, slow to fast network: replica, fsdp, context, tensor.
"""

from collections.abc import Mapping
from typing import Any

import jax

Array = jax.Array
# Parameters everywhere outside `nn/fence.py`: {dotted path: array}.
Params = Mapping[str, Any]
# latent_BFHWC, text_BLD, text_mask_BL, label_B, fps_B, id_B: see data/pipeline.py.
Batch = Mapping[str, Any]
# What is diffused: one array, or {"video": Array, "audio": Array}; see diffusion/parts.py.
Parts = Any
