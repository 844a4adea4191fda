"""Folders of tiny image encoders, written as releases have them, without PyTorch."""

from text_folders import random_params, write_folder

from videogen.image.vision import KINDS, Vision, VisionConfig, weight_table
from videogen.models.weights import write
from videogen.nn.fence import Network

SIZES = dict(
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=2,
    image_size=8,
    patch_size=4,
)


def write_vision(folder, kind="clip", **sizes):
    """config.json and model.safetensors in `folder`, which is made. Returns their tensors."""
    folder.mkdir(exist_ok=True)
    fields = SIZES | sizes
    config, own = VisionConfig(**fields), KINDS[kind]
    network = Network.of(lambda rngs: Vision(config, own, rngs=rngs))
    table = weight_table({"vision_model.x": 0}, config, own)
    tensors = write(table, random_params(network))
    write_folder(folder, tensors, fields | {"model_type": f"{kind}_vision_model"})
    return tensors
