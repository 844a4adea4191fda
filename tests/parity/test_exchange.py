"""What torch.save writes is read without torch, bit for bit; constants are diffusers'."""

import inspect
import os

import ml_dtypes
import numpy as np
import pytest

from data_pipelines.exchange.pickled import read_pickled
from data_pipelines.quarantine import Reject
from videogen.tokenizers.published import PUBLISHED

pytestmark = pytest.mark.parity


@pytest.fixture(autouse=True)
def stand_ins():
    """None: PyTorch is to save its own types."""


def bits(tensor):
    """Of a tensor, as numpy has them; bfloat16 by its bits."""
    import torch

    tensor = tensor.contiguous()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def tensors():
    import torch

    base = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5) / 7
    return {
        "float32": base,
        "bfloat16": base.bfloat16(),
        "float16": base.half(),
        "float64": base.double(),
        "turned": base.permute(3, 1, 0, 2),
        "part": base[1:, :, 1:3, ::2],  # of the same storage
        "wide": base[:1].expand(4, 3, 4, 5),
        "nested": {"list": [base.bfloat16()[0], (base[0, 0],)]},
        "whole": torch.arange(5),
        "mask": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(2.5),
        **{"caption": "a wave", "fps": 16, "none": None},
    }


def leaves(value, name=""):
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from leaves(item, f"{name}.{key}".lstrip("."))
    else:
        yield name, value


def test_every_tensor_bit_for_bit(tmp_path):
    import torch

    path = tmp_path / "a.pt"
    content = tensors()
    torch.save(content, path)
    (record,) = read_pickled(str(path))
    want = {name: x for name, x in leaves(content) if isinstance(x, torch.Tensor)}
    assert record.tensors.keys() == want.keys()
    assert record.facts == {"caption": "a wave", "fps": 16}
    for name, tensor in want.items():
        read, array = record.tensors[name].values, bits(tensor)
        assert (read.dtype, read.shape) == (array.dtype, array.shape), name
        assert read.tobytes() == array.tobytes(), name


def test_a_tensor_alone_and_one_that_was_trained(tmp_path):
    import torch

    path = tmp_path / "a.pt"
    for tensor in (torch.randn(2, 3), torch.randn(2, 3, requires_grad=True)):
        torch.save(tensor, path)
        (record,) = read_pickled(str(path))
        read = record.tensors["latents"].values
        assert read.tobytes() == tensor.detach().numpy().tobytes()


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("hacked",)


@pytest.mark.parametrize("kind", ["code", "module", "array"])
def test_what_is_no_tensor_is_named_and_not_run(tmp_path, monkeypatch, kind):
    import torch

    monkeypatch.chdir(tmp_path)
    content = {
        "code": Hostile(),
        "module": torch.nn.Linear(2, 2),
        "array": np.zeros(3),
    }[kind]
    torch.save({"latents": content}, "a.pt")
    with pytest.raises(
        Reject, match="its pickle asks for .*, which is no tensor"
    ) as error:
        list(read_pickled("a.pt"))
    assert error.value.code == "UNTRUSTED"
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_files_of_before_1_6_are_told(tmp_path):
    import torch

    path = tmp_path / "a.pt"
    torch.save(torch.zeros(2), path, _use_new_zipfile_serialization=False)
    with pytest.raises(Reject, match="of 1.6 or later"):
        list(read_pickled(str(path)))


DIFFUSERS = {
    "allegro": "AutoencoderKLAllegro",
    "cogvideox_2b": "AutoencoderKLCogVideoX",
    "easyanimate": "AutoencoderKLMagvit",
    "hunyuan": "AutoencoderKLHunyuanVideo",
    "hunyuan1_5": "AutoencoderKLHunyuanVideo15",
    "mochi": "AutoencoderKLMochi",
    "sd": "AutoencoderKL",
    "wan2_1": "AutoencoderKLWan",
}


@pytest.mark.parametrize("name", DIFFUSERS)
def test_constants_are_those_of_diffusers(name):
    import diffusers

    fields = inspect.signature(getattr(diffusers, DIFFUSERS[name]).__init__).parameters
    defaults = {x: field.default for x, field in fields.items()}
    ours = PUBLISHED[name]
    assert ours.channels == defaults.get("latent_channels", defaults.get("z_dim"))
    if defaults.get("latents_std"):
        assert ours.mean == tuple(defaults["latents_mean"])
        assert ours.std == tuple(defaults["latents_std"])
    else:
        assert ours.std == (1 / defaults["scaling_factor"],) and ours.mean == (0.0,)
