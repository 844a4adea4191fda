"""What every parity test does: the same random weights through PyTorch and through ours."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from videogen.models.weights import WeightTable, read, write
from videogen.nn.fence import Network

FORWARD, GRADIENT = 1e-4, 1e-3  # of the largest value


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


def check_parity(
    model: Any,
    network: Network,
    table: WeightTable,
    theirs: Callable[[Any], Any],
    ours: Callable[[Callable[..., jax.Array]], jax.Array],
    *,
    norms: str = r"norm\w*(\.\d+)?\.weight$",
    zero_gradients: str = r"(?!)",
) -> None:
    """Forward within FORWARD, all gradients within GRADIENT, weights there and back equal.

    model: of diffusers, in float32. theirs(model) -> the output as a torch tensor.
    ours(velocity) -> the same array, where velocity(latent, t, **conditions) is the network
        under the same weights: layouts of the two may differ only within these functions.
    zero_gradients: a pattern of keys whose gradient is exactly zero in theory (a bias that
        softmax does not see), to be compared with the others' size.
    """
    import torch

    state = random_state(model, norms)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    model.eval()
    shapes = {path: leaf.shape for path, leaf in network.abstract().items()}
    params = read(table, shapes, state)
    back = write(table, params)
    learned = {k: v for k, v in state.items() if k in back}
    assert back.keys() == learned.keys()
    for key, value in learned.items():
        np.testing.assert_array_equal(back[key], value, err_msg=key)

    want = theirs(model)
    cotangent = np.random.default_rng(9).standard_normal(tuple(want.shape), np.float32)
    (want * torch.from_numpy(cotangent)).sum().backward()

    def value(params):
        def velocity(*args, **keywords):
            args, keywords = jax.tree.map(jnp.asarray, (args, keywords))
            return network.apply(params, *args, **keywords)

        out = ours(velocity)
        return jnp.sum(out * cotangent), out

    arrays = {path: jnp.asarray(x) for path, x in params.items()}
    grads, got = jax.jit(jax.grad(value, has_aux=True))(arrays)
    compare("the output", np.asarray(got), want.detach().numpy(), FORWARD)
    their_grads = {k: p.grad for k, p in model.named_parameters()}
    our_grads = write(table, grads)
    compare_gradients(our_grads, their_grads, zero_gradients)


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
