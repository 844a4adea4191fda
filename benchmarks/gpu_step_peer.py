"""The same model's step in PyTorch: diffusers' class, compiled, SDPA, fused AdamW, EMA.

As a lab would write it: float32 weights, moments and average, bfloat16 products by autocast,
the flow loss, gradients clipped. Blocks are compiled one by one, as diffusers advises.
"""

import statistics
import time
from typing import Any

from videogen.flagship import Shape


def measure(
    model: Any, shape: Shape, clips: int, steps: int, warm_up: int, recompute: bool
) -> tuple[float, float] | None:
    """The median of a step in seconds, each waited for, and GiB at the most.

    model: a config of Wan2.1. recompute: blocks run again in the backward pass. None if that
    needs more memory than there is.
    """
    import diffusers
    import torch

    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    torch.manual_seed(0)
    network = diffusers.WanTransformer3DModel(
        patch_size=model.patch,
        num_attention_heads=model.num_heads,
        attention_head_dim=model.head_dim,
        in_channels=model.latent_channels,
        out_channels=model.latent_channels,
        text_dim=model.text_dim,
        ffn_dim=model.mlp_width,
        num_layers=model.depth,
    ).to(device)
    if recompute:
        network.enable_gradient_checkpointing()
    if gpu:
        network.compile_repeated_blocks()
    average = [p.detach().clone() for p in network.parameters()]
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=gpu)
    frames, rows, columns, channels = shape.latent_FHWC
    x = torch.randn(clips, channels, frames, rows, columns, device=device)
    text = torch.randn(clips, shape.text_tokens, model.text_dim, device=device)

    def step() -> None:
        noise, t = torch.randn_like(x), torch.rand(clips, device=device)
        noised = x + t[:, None, None, None, None] * (noise - x)
        with torch.autocast(device.type, torch.bfloat16):
            out = network(noised, t * 1000, text, return_dict=False)[0]
        (out.float() - (noise - x)).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            torch._foreach_lerp_(average, list(network.parameters()), 1e-4)
        if gpu:
            torch.cuda.synchronize()

    taken = []
    try:
        for _ in range(warm_up + steps):
            start = time.perf_counter()
            step()
            taken.append(time.perf_counter() - start)
    except torch.OutOfMemoryError:
        return None
    most = torch.cuda.max_memory_allocated() if gpu else 0
    return statistics.median(taken[warm_up:]), most / 2**30
