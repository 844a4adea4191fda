"""python -m benchmarks.gpu_step [--peer] [--latent=21x60x104] [a.b=c ...]: a step on a GPU.

Trains Wan2.1-1.3B (random weights, 81 x 480 x 832, 32,760 tokens, bfloat16 with float32
masters) on the first device, by the very step of `videogen train`, with little and with
much kept for the backward pass, and prints milliseconds, tokens/s, MFU and memory; beside it
a bare product of matrices, and with --peer the same model in PyTorch (gpu_step_peer.py;
needs torch and diffusers). Overrides are those of the config, as data.global_batch=2.
"""

import argparse
import dataclasses
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import gpu_step_peer
from videogen import flagship, trainer
from videogen.build import Settings
from videogen.parallel.mesh import make_mesh

CONFIG = "configs/wan2_1_t2v_1_3b.py"
PEAK = 989e12  # bf16 FLOP/s of an H100 or H200 SXM, without sparsity
WARM_UP = 2
PRODUCTS = 10  # between two waits
REMAT = ("attention", "dots")  # from less memory to more

Row = tuple[float, float]  # seconds, and GiB at the most


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
    if any(text.startswith("model.remat=") for text in args.overrides):
        parser.error(f"model.remat: there is a row for each of {', '.join(REMAT)}")
    latent = [int(size) for size in args.latent.split("x")]
    overrides = ["data.global_batch=1", *args.overrides]
    settings, shape = flagship.read(CONFIG, overrides, latent, args.text_tokens)
    rows = peers(settings, shape, args.steps) if args.peer else {}
    device = jax.devices()[0]  # takes most of its memory from here on
    print(f"{device.device_kind}, jax {jax.__version__}, {' '.join(overrides)}")
    product = 2.0 * PRODUCTS * args.product**3
    product /= seconds(products_of(args.product), args.steps)
    print(f"product of {args.product} x {args.product}: {product / 1e12:.1f} TFLOP/s")
    for remat in REMAT:
        model = dataclasses.replace(settings.model, remat=remat)
        ours = dataclasses.replace(settings, model=model)
        rows[f"videogen, model.remat={remat}"] = row_of(ours, shape, args.steps)
    flops = flagship.step_flops(settings, shape)
    tokens = flagship.num_tokens_of(settings, shape.latent_FHWC)
    tokens *= settings.data.global_batch
    for name, row in rows.items():
        print(f"{name}: {said(row, flops, tokens, product)}")


def row_of(settings: Settings, shape: flagship.Shape, steps: int) -> Row | None:
    """Ours; None if it needs more memory than there is."""
    try:
        took = seconds(step_of(settings, shape), steps)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return None
    most = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)
    return took, most / 2**30


def said(row: Row | None, flops: float, tokens: int, product: float) -> str:
    """What the rest of a line says. product: FLOP/s."""
    if row is None:
        return "more than the device's memory"
    took, most = row
    return (
        f"{took * 1e3:.1f} ms a step, {tokens / took:,.0f} tokens/s, MFU "
        f"{flops / took / PEAK:.1%} of {PEAK / 1e12:.0f} TFLOP/s, "
        f"{flops / took / product:.1%} of the product, {most:.1f} GiB at the most"
    )


def peers(
    settings: Settings, shape: flagship.Shape, steps: int
) -> dict[str, Row | None]:
    """PyTorch's rows, with every block recomputed and with none; a process for each."""
    rows = {}
    for recompute, name in ((True, "blocks recomputed"), (False, "all kept")):
        ways = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=ways) as process:
            clips = settings.data.global_batch
            given = (settings.model, shape, clips, steps, WARM_UP, recompute)
            row = process.submit(gpu_step_peer.measure, *given).result()
        rows[f"PyTorch, {name}"] = row
    return rows


def seconds(run: Callable[[], Any], steps: int) -> float:
    """The median of `steps` calls, each waited for."""
    taken = []
    for _ in range(WARM_UP + steps):
        start = time.perf_counter()
        jax.block_until_ready(run())
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[WARM_UP:])


def products_of(size: int) -> Callable[[], Any]:
    """Bfloat16 products of two square matrices, PRODUCTS of them, one after the other."""
    x = jax.random.normal(jax.random.key(0), (size, size), jnp.bfloat16)
    product = jax.jit(jnp.matmul)
    return lambda: [product(x, x) for _ in range(PRODUCTS)][-1]


def step_of(settings: Settings, shape: flagship.Shape) -> Callable[[], Any]:
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
