"""What every parity test does: the same random weights through PyTorch and through ours."""

import dataclasses
import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from videogen.models import FAMILIES, find_published
from videogen.models.published import Published
from videogen.models.weights import WeightTable, read, write
from videogen.nn.fence import Network

FORWARD, GRADIENT = 1e-4, 1e-3  # of the largest value
T_B = np.array([0.0, 0.3127, 1.0], np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Twin:
    """A tiny network of ours and PyTorch's, which are given the same beside the latent.

    name: of the published model that has `config`, but for its sizes.
    sizes: (frames, height, width) of a latent; batches are of three.
    theirs(model, latent_BFHWC, t) -> what it predicts, channels last, as torch tensors.
    ours(velocity, latent_BFHWC, t) -> the same in JAX: `velocity` is our network.
    names: whose model it is, or what is called how.
    make() -> theirs; None: diffusers', by the config.json that we write.
    adapt(model): what has to be put right in it.
    turned: theirs is told 1 - t, and predicts the negative.
    zero_gradients: a pattern of keys whose gradient is exactly zero in theory (a bias that
        softmax does not see), to be compared with the others' size.
    """

    name: str
    config: Any
    sizes: tuple[int, int, int]
    theirs: Callable[[Any, Any, Any], Any]
    ours: Callable[[Callable[..., Any], Any, Any], Any]
    names: str | Callable[[Any], WeightTable] = "diffusers"
    make: Callable[[], Any] | None = None
    adapt: Callable[[Any], Any] = lambda model: None
    turned: bool = False
    zero_gradients: str = r"(?!)"

    @property
    def published(self) -> Published:
        """The model at these sizes."""
        _, published = find_published(self.name)
        return dataclasses.replace(published, config=self.config)

    @property
    def table(self) -> WeightTable:
        if callable(self.names):
            return self.names(self.config)
        return self.published.weights[self.names](self.config)

    @property
    def network(self) -> Network:
        family, _ = find_published(self.name)
        return Network.of(FAMILIES[family].make(self.config))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {path: x.shape for path, x in self.network.abstract().items()}

    def model(self) -> Any:
        """Theirs, in float32."""
        import diffusers

        if self.make is not None:
            model = self.make()
        else:
            assert self.published.diffusers_config is not None
            told = self.published.diffusers_config(self.config)
            model = getattr(diffusers, told["_class_name"]).from_config(told)
        self.adapt(model)
        return model

    def latent(self, seed: int = 2) -> np.ndarray:
        """(3, F, H, W, C)."""
        return drawing(seed)(3, *self.sizes, self.config.latent_channels)


def twin_of(name: str, *beside: np.ndarray) -> Twin:
    """`family.function`, of parity.twins, which only PyTorch's environment can import.

    beside: what is given beside the noise, if it is not the twin's own.
    """
    family, function = name.split(".")
    return getattr(importlib.import_module(f"parity.twins.{family}"), function)(*beside)


def drawing(seed: int = 1) -> Callable[..., np.ndarray]:
    """A function of a shape: standard normal numbers."""
    rng = np.random.default_rng(seed)
    return lambda *shape: rng.standard_normal(shape, np.float32)


def tensor(array: Any) -> Any:
    """In torch."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(array))


def channels_first(latent_BFHWC: Any) -> Any:
    """Of a torch tensor."""
    return latent_BFHWC.permute(0, 4, 1, 2, 3)


def channels_last(output_BCFHW: Any) -> Any:
    """Of a torch tensor."""
    return output_BCFHW.permute(0, 2, 3, 4, 1)


def random_state(
    model: Any, norms: str = r"norm\w*(\.\d+)?\.weight$"
) -> dict[str, Any]:
    """Every tensor of the model, none of them zero: the scales of norms are around 1.

    Tensors that the model shares under several names are equal.
    """
    rng = np.random.default_rng(0)
    state, drawn = {}, {}
    for name, value in model.state_dict().items():
        place = value.data_ptr(), value.shape
        if place not in drawn:
            noise = rng.standard_normal(tuple(value.shape), np.float32)
            drawn[place] = 0.2 * noise + bool(re.search(norms, name))
        state[name] = drawn[place]
    return state


def check_parity(twin: Twin, t: np.ndarray = T_B) -> None:
    """The networks agree on a latent at t, and so do their gradients."""
    latent = twin.latent()
    sign, their_t = (-1, 1 - t) if twin.turned else (1, t)
    check(
        twin,
        lambda model: twin.theirs(model, tensor(latent), tensor(their_t)),
        lambda velocity: sign * twin.ours(velocity, latent, t),
    )


def check(
    twin: Twin,
    theirs: Callable[[Any], Any],
    ours: Callable[[Callable[..., jax.Array]], jax.Array],
) -> None:
    """Outputs within FORWARD, all gradients within GRADIENT, weights there and back equal.

    theirs(model) -> any torch tensor. ours(velocity) -> the same array, where
        velocity(latent, t, **conditions) is the network under the same weights.
    """
    import torch

    model, network, table = twin.model(), twin.network, twin.table
    state = random_state(model)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    model.eval()
    params = read(table, twin.shapes, state)
    back = write(table, params)
    learned = {k: v for k, v in state.items() if k in back}
    assert back.keys() == learned.keys()
    for key, value in learned.items():
        np.testing.assert_array_equal(back[key], value, err_msg=key)

    want = theirs(model)
    cotangent = drawing(9)(*want.shape)
    (want * torch.from_numpy(cotangent)).sum().backward()

    def value(params):
        out = ours(applied(network, params))
        return jnp.sum(out * cotangent), out

    grads, got = jax.jit(jax.grad(value, has_aux=True))(params)
    compare("the output", np.asarray(got), want.detach().numpy(), FORWARD)
    their_grads = {k: p.grad for k, p in model.named_parameters()}
    compare_gradients(write(table, grads), their_grads, twin.zero_gradients)


def applied(network: Network, params: Any) -> Callable[..., jax.Array]:
    """The network under these weights, for NumPy's arrays too."""
    params = jax.tree.map(jnp.asarray, params)

    def velocity(*args, **keywords):
        args, keywords = jax.tree.map(jnp.asarray, (args, keywords))
        return network.apply(params, *args, **keywords)

    return velocity


def compare_gradients(
    ours: Mapping[str, np.ndarray], theirs: Mapping[str, Any], zero: str
) -> None:
    """Key by key; None of theirs is a parameter without a gradient."""
    found = {
        k: np.zeros_like(ours[k]) if g is None else g.numpy()
        for k, g in theirs.items()
        if k in ours
    }
    largest = max(np.abs(g).max() for g in found.values())
    for key, want in found.items():
        if re.search(zero, key):
            assert np.abs(ours[key] - want).max() <= GRADIENT * largest, key
        else:
            compare(f"the gradient of {key}", ours[key], want, GRADIENT)


def compare(what: str, got: np.ndarray, want: np.ndarray, tolerance: float) -> None:
    """The largest difference against the largest value."""
    assert got.shape == want.shape, (what, got.shape, want.shape)
    size = np.abs(want).max()
    error = np.abs(got - want).max()
    assert np.isfinite(got).all() and error <= tolerance * size, (
        f"{what}: {error:.2e} of {size:.2e}"
    )
