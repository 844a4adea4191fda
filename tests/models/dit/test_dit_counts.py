"""DiT, SiT, Latte: published numbers of parameters and of multiply-adds."""

import pytest

from videogen.models.dit.flops import forward_flops
from videogen.models.dit.model import make
from videogen.models.dit.sizes import PUBLISHED, dit_xl_2
from videogen.nn.fence import Network


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_published(name):
    published = PUBLISHED[name]
    config, d = published.config, published.config.width
    shapes = Network.of(make(config)).abstract()
    total = sum(leaf.size for leaf in shapes.values())
    assert total + published.fixed == published.parameters
    blocks = sum(leaf.size for path, leaf in shapes.items() if "blocks." in path)
    assert blocks == config.depth * (18 * d * d + 15 * d)


def test_trained_parameters_are_as_published():
    """What is left of them without the tables of positions."""
    trained = {name: (p.parameters or 0) - p.fixed for name, p in PUBLISHED.items()}
    assert trained["dit_xl_2"] == trained["dit_xl_2_512"] == 674_834_720
    assert trained["latte_xl_2"] == 673_681_568


@pytest.mark.parametrize("size, published", [(32, 118.60), (64, 524.48)])
def test_flops_of_published_shapes(size, published):
    """The paper's Gflops are multiply-adds; ours also count the conditions' layers."""
    macs = forward_flops(dit_xl_2(), (1, size, size, 4)) / 2
    assert macs / 1e9 == pytest.approx(published, rel=2e-4)


def test_flops_of_latte():
    """TFLOP of 16 x 256 x 256: full attention would take 5.82."""
    latte = PUBLISHED["latte_xl_2"]
    assert round(forward_flops(latte.config, latte.latent_FHWC) / 1e12, 2) == 3.73
    assert round(forward_flops(dit_xl_2(), latte.latent_FHWC) / 1e12, 2) == 5.82
