"""python -m benchmarks.gpu_step [--peer] [--latent=21x60x104] [a.b=c ...]: a step on a GPU.

Trains Wan2.1-1.3B (random weights, 81 x 480 x 832, 32,760 tokens, bfloat16 with float32
masters, recomputation as the config says) on the first device, by the very step of
`videogen train`, and prints milliseconds, tokens/s and MFU; beside it a bare product of
matrices, and with --peer the same model in PyTorch (gpu_step_peer.py; needs torch and
diffusers). Overrides are those of the config, as optimizer.microbatches=2.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import gpu_step_peer
from videogen import flagship, trainer
from videogen.parallel.mesh import make_mesh

CONFIG = "configs/wan2_1_t2v_1_3b.py"
PEAK = 989e12  # bf16 FLOP/s of an H100 or H200 SXM, without sparsity
WARM_UP = 2


def main() -> None:
    """Measures, and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latent", default="21x60x104", help="frames x rows x columns")
    parser.add_argument("--text_tokens", type=int, default=512)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--product", type=int, default=8192, help="rows of a product")
    parser.add_argument("--peer", action="store_true", help="PyTorch too")
    parser.add_argument("overrides", nargs="*", default=[])
    args = parser.parse_args()
    latent = [int(size) for size in args.latent.split("x")]
    overrides = ["data.global_batch=1", *args.overrides]
    settings, shape = flagship.read(CONFIG, overrides, latent, args.text_tokens)
    device = jax.devices()[0]
    print(f"{device.device_kind}, jax {jax.__version__}, {' '.join(overrides)}")
    product = 2.0 * args.product**3 / seconds(product_of(args.product), args.steps)
    print(f"product of {args.product} x {args.product}: {product / 1e12:.1f} TFLOP/s")
    flops = flagship.step_flops(settings, shape)
    tokens = flagship.num_tokens_of(settings, shape.latent_FHWC)
    tokens *= settings.data.global_batch
    peers = {"videogen": lambda: seconds(step_of(settings, shape), args.steps)}
    if args.peer:
        peers["PyTorch"] = lambda: gpu_step_peer.seconds(
            settings.model, shape, args.steps, WARM_UP
        )
    for name, measure in peers.items():
        took = measure()
        print(
            f"{name}: {took * 1e3:.1f} ms a step, {tokens / took:,.0f} tokens/s, MFU "
            f"{flops / took / PEAK:.1%} of {PEAK / 1e12:.0f} TFLOP/s, "
            f"{flops / took / product:.1%} of the product"
        )


def seconds(run: Callable[[], Any], steps: int) -> float:
    """The median of `steps` calls, each waited for."""
    taken = []
    for _ in range(WARM_UP + steps):
        start = time.perf_counter()
        jax.block_until_ready(run())
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[WARM_UP:])


def product_of(size: int) -> Callable[[], Any]:
    """A bfloat16 product of two square matrices."""
    x = jax.random.normal(jax.random.key(0), (size, size), jnp.bfloat16)
    product = jax.jit(jnp.matmul)
    return lambda: product(x, x)


def step_of(settings: Any, shape: flagship.Shape) -> Callable[[], Any]:
    """The training step, on a state that it updates and one random batch."""
    mesh = make_mesh(settings.mesh, jax.devices()[:1])
    parts = flagship.make(settings, mesh)
    step = trainer.under(mesh, parts.step)
    state = parts.init()
    rng = np.random.default_rng(0)
    batch = {
        name: jax.device_put(drawn(rng, leaf), leaf.sharding)
        for name, leaf in flagship.batch(settings, shape, mesh).items()
    }

    def run() -> Any:
        nonlocal state
        state, metrics = step(state, batch)
        return metrics["loss"]

    return run


def drawn(rng: np.random.Generator, leaf: Any) -> np.ndarray:
    """Normal numbers; ones where truth or whole numbers are asked for."""
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        return rng.standard_normal(leaf.shape, np.float32).astype(leaf.dtype)
    return np.ones(leaf.shape, leaf.dtype)


if __name__ == "__main__":
    main()
