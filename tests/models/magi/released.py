"""MAGI-1 as its authors' code computes it, in NumPy, on tensors under their names.

A transcription of the formulas of SandAI-org/MAGI-1 inference/model/dit, for one forward
pass without caches: x (B, C, T, H, W), t (B, chunks), text (B, L, X).
"""

import math

import numpy as np
from scipy.special import erf


def silu(x):
    return x / (1 + np.exp(-x))


def layer_norm(x, weight, bias, eps=1e-6):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight + bias


def norm_1p(state, name, x):
    return layer_norm(x, 1 + state[name + ".weight"], state[name + ".bias"])


def linear(state, name, x):
    y = x @ state[name + ".weight"].T
    return y + state[name + ".bias"] if name + ".bias" in state else y


def attend(q, k, v, allowed):
    """q (B, N, H, E) reads k, v (B, S, G, E) where allowed (B or 1, N, S)."""
    k, v = (np.repeat(x, q.shape[2] // x.shape[2], axis=2) for x in (k, v))
    scores = np.einsum("bnhe,bshe->bhns", q, k) / math.sqrt(q.shape[-1])
    scores = np.where(allowed[:, None], scores, -np.inf)
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    o = np.einsum("bhns,bshe->bnhe", p, v)
    return o.reshape(*o.shape[:2], -1)


def rope_angles(bands, grid):
    """(T H W, 3 bands): frames from 0; rows, columns from the middle, rescaled."""
    t, h, w = grid
    rescale = math.sqrt(h * w / 256)
    places = [np.arange(t, dtype=float)]
    for size in (h, w):
        x = np.arange(size) - (size - 1) / 2
        places.append(x if size == 1 else x / (size - 1) * (size / rescale - 1))
    grid = np.stack(np.meshgrid(*places, indexing="ij"), -1)
    return (grid[..., None] * bands).reshape(t * h * w, -1)


def turn(x, angles):
    """The two halves of the first 2 * angles numbers of each head; the rest stay."""
    n = angles.shape[-1]
    cos, sin = (f(angles)[:, None] for f in (np.cos, np.sin))
    a, b, rest = x[..., :n], x[..., n : 2 * n], x[..., 2 * n :]
    return np.concatenate([a * cos - b * sin, a * sin + b * cos, rest], -1)


def sinusoid(t, dim=256):
    angles = (
        1000 * t[..., None] * np.exp(-math.log(1e4) * np.arange(dim // 2) / (dim // 2))
    )
    return np.concatenate([np.cos(angles), np.sin(angles)], -1)


def attention(state, name, x, text, text_mask, angles, causal, head):
    h = layer_norm(
        x,
        state[name + ".linear_qkv.layer_norm.weight"],
        state[name + ".linear_qkv.layer_norm.bias"],
    )

    def heads(which):
        y = linear(state, f"{name}.linear_qkv.{which}", h)
        return y.reshape(*y.shape[:2], -1, head)

    q, k = (
        turn(norm_1p(state, f"{name}.{x}_layernorm", heads(x)), angles) for x in "qk"
    )
    own = attend(q, k, heads("v"), causal)
    kv = linear(state, name + ".linear_kv_xattn", text)
    kv = kv.reshape(*kv.shape[:2], -1, 2 * head)
    q = norm_1p(state, name + ".q_layernorm_xattn", heads("qx"))
    k = norm_1p(state, name + ".k_layernorm_xattn", kv[..., :head])
    of_text = attend(q, k, kv[..., head:], text_mask[:, None, :])
    both = np.stack([own, of_text], -2)  # 8 groups of heads, each [own, text]
    both = both.reshape(*x.shape[:2], 2, 8, -1).swapaxes(-2, -3)
    return linear(state, name + ".linear_proj", both.reshape(*x.shape[:2], -1))


def mlp(state, name, x, gated):
    h = layer_norm(
        x, state[name + ".layer_norm.weight"], state[name + ".layer_norm.bias"]
    )
    h = linear(state, name + ".linear_fc1", h)
    if gated:
        gate, up = np.split(h, 2, -1)
        h = silu(gate) * up
    else:
        h = h * (1 + erf(h / math.sqrt(2))) / 2
    return linear(state, name + ".linear_fc2", h)


def forward(state, config, x, t, text, text_mask, dropped):
    """data - noise, (B, C, T, H, W); t is 1 at data."""
    copies, scale = config.latent_copies, config.latent_scale
    pt, ph, pw = config.patch
    x = np.concatenate([scale * x] * copies, axis=1)
    b, c, *sizes = x.shape
    grid = tuple(size // p for size, p in zip(sizes, config.patch, strict=True))
    patches = x.reshape(b, c, grid[0], pt, grid[1], ph, grid[2], pw)
    kernel = state["x_embedder.weight"]
    x = np.einsum("bctphqwr,dcpqr->bthwd", patches, kernel).reshape(b, -1, len(kernel))

    null = state["y_embedder.null_caption_embedding"]
    text = np.where(dropped[:, None, None], null[: text.shape[1]], text)
    told = np.where(dropped[:, None], null[-1], null[-2])
    text = silu(linear(state, "y_embedder.y_proj_xattn.0", text))
    condition = linear(state, "y_embedder.y_proj_adaln.0", told)[:, None]
    h = silu(linear(state, "t_embedder.mlp.0", sinusoid(t, config.freq_dim)))
    condition = condition + linear(state, "t_embedder.mlp.2", h)  # (B, chunks, c)

    frame = np.repeat(np.arange(grid[0]), grid[1] * grid[2]) * pt
    chunk = frame // config.chunk
    causal = (chunk[:, None] >= chunk[None])[None]
    angles = rope_angles(state["rope.bands"], grid)
    for layer in range(config.depth):
        name = f"videodit_blocks.layers.{layer}"
        gates = linear(state, name + ".ada_modulate_layer.proj.0", silu(condition))
        gates = np.tanh(gates)[:, chunk]
        gate, mlp_gate = np.split(gates, 2, -1)
        y = attention(
            *(state, name + ".self_attention", x, text, text_mask, angles, causal),
            config.head_dim,
        )
        x = x + norm_1p(state, name + ".self_attn_post_norm", y * gate)
        y = mlp(state, name + ".mlp", x, config.mlp == "swiglu")
        x = x + norm_1p(state, name + ".mlp_post_norm", y * mlp_gate)
    x = norm_1p(state, "videodit_blocks.final_layernorm", x)
    x = linear(state, "final_linear.linear", x)
    x = x.reshape(b, *grid, pt, ph, pw, c)
    x = x.transpose(0, 7, 1, 4, 2, 5, 3, 6).reshape(b, c, *sizes)
    return x[:, : c // copies] / scale
