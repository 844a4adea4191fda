"""What all parity tests need of JAX and of diffusers."""

from types import SimpleNamespace

import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def quick_compilation():
    """It is most of these tests' time: their arrays are tiny."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    """Cosmos resizes masks of padding by torchvision; Kandinsky rounds to bfloat16 always."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    from diffusers.models.transformers import transformer_cosmos

    def resize(mask, sizes, **_):
        assert list(mask.shape[-2:]) == sizes
        return mask

    transforms = SimpleNamespace(
        functional=SimpleNamespace(resize=resize),
        InterpolationMode=SimpleNamespace(NEAREST=None),
    )
    monkeypatch.setattr(transformer_cosmos, "transforms", transforms, raising=False)
    monkeypatch.setattr(torch, "bfloat16", torch.float32)
