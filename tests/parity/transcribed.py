"""Published networks that diffusers lacks, written down as formulas over named tensors.

From the authors' code, read for its mathematics: Open-Sora v1.2.0 (stdit3.py, blocks.py),
Open-Sora Plan v1.3.0 (opensora_v1_3) and Step-Video-T2V (stepvideo/modules); Movie Gen from
its paper, under names of ours. Attention is dense, with a mask of who attends whom.
"""

import dataclasses
import functools
import math

import torch
from torch.nn import functional


class Weights:
    """Tensors by the authors' names; as much of a torch module as the harness needs."""

    def __init__(self, shapes):
        self.tensors = {
            k: torch.zeros(s, requires_grad=True) for k, s in shapes.items()
        }

    def state_dict(self):
        return self.tensors

    def load_state_dict(self, values):
        for name, tensor in self.tensors.items():
            tensor.data = values[name]

    def eval(self):
        return self

    def named_parameters(self):
        return self.tensors.items()

    def linear(self, name, x):
        return functional.linear(x, self[f"{name}.weight"], self[f"{name}.bias"])

    def mlp(self, first, act, second, x):
        return self.linear(second, act(self.linear(first, x)))

    def __getitem__(self, name):
        return self.tensors[name]


def by_formulas(twin, *, names="native", **fixed):
    """The twin with tensors by the authors' names. fixed: shapes of what is not learned."""
    twin = dataclasses.replace(twin, names=names)
    shapes = twin.table.their_shapes(twin.shapes) | fixed
    return dataclasses.replace(twin, make=functools.partial(Weights, shapes))


def gelu(x):
    return functional.gelu(x, approximate="tanh")


def sinusoid(t, dim=256):
    rates = torch.exp(-math.log(1e4) * torch.arange(dim // 2) / (dim // 2))
    return torch.cat([torch.cos(t[:, None] * rates), torch.sin(t[:, None] * rates)], -1)


def layer_norm(x):
    return functional.layer_norm(x, x.shape[-1:], eps=1e-6)


def attention(q, k, v, attends, heads):
    """q, k, v (B, N, D); attends: True where a query (rows) attends a key."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    scores = scores.masked_fill(~attends, -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def per_head(x, heads, function):
    return function(x.unflatten(-1, (heads, -1))).flatten(2)


def rms_norm(x, weight, eps=1e-6):
    return weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


def turn_neighbours(x, place):
    """Pairs (2i, 2i + 1) by place * 1e4^(-2i/d); x (B, N, K, d)."""
    dim = x.shape[-1]
    angles = place[:, None] * 1e4 ** (-torch.arange(0, dim, 2) / dim)
    cos, sin = torch.cos(angles)[:, None], torch.sin(angles)[:, None]
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, odd * cos + even * sin], -1).flatten(-2)


def turn_halves(x, place):
    """The same of pairs (i, i + d/2)."""
    order = torch.arange(x.shape[-1]).reshape(2, -1).T.flatten()
    return turn_neighbours(x[..., order], place)[..., order.argsort()]


def indices(grid):
    """(frame, row, column) of each token, and its place among all."""
    axes = torch.meshgrid(*(torch.arange(n) for n in grid), indexing="ij")
    return (*(x.flatten() for x in axes), torch.arange(math.prod(grid)))


def sides(grid, pixels=8 * 2, base_pixels=512):
    """Open-Sora's numbers for row and column: arange / scale * base_size / size."""
    _, row, column, _ = indices(grid)
    _, h, w = grid
    scale = math.sqrt(h * pixels * w * pixels) / base_pixels
    base = round(math.sqrt(h * w))
    return row / scale * base / h, column / scale * base / w


def sincos(place, dim):
    angles = place[:, None] * 1e4 ** (-torch.arange(0, dim, 2) / dim)
    return torch.cat([torch.sin(angles), torch.cos(angles)], -1)


def patches(weight, bias, latent_BCFHW):
    """(B, N, D) of a convolution whose stride is its size."""
    if weight.ndim == 4:
        weight = weight[:, :, None]
    y = functional.conv3d(latent_BCFHW, weight, bias, stride=weight.shape[2:])
    return y.flatten(2).mT


def from_patches(x_BNP, grid, channels):
    """(B, F, H, W, channels) of (1, 2, 2) patches, channels last."""
    x = x_BNP.reshape(len(x_BNP), *grid, 2, 2, channels)
    x = x.permute(0, 1, 2, 4, 3, 5, 6)
    return x.reshape(len(x_BNP), grid[0], 2 * grid[1], 2 * grid[2], channels)


def stdit3(w, latent_BCFHW, t, text, text_mask, fps, frame_mask, *, depth, heads):
    """Open-Sora 1.2. frame_mask (B, F): frames at time t; the others are at time 0."""
    grid = latent_BCFHW.shape[2], latent_BCFHW.shape[3] // 2, latent_BCFHW.shape[4] // 2
    frame, row, column, place = indices(grid)
    x = patches(w["x_embedder.proj.weight"], w["x_embedder.proj.bias"], latent_BCFHW)
    half = x.shape[-1] // 2
    y_row, y_column = sides(grid)
    x = x + torch.cat([sincos(y_column, half), sincos(y_row, half)], -1)
    text = w.mlp("y_embedder.y_proj.fc1", gelu, "y_embedder.y_proj.fc2", text)

    def time(t):
        e = w.mlp("t_embedder.mlp.0", functional.silu, "t_embedder.mlp.2", sinusoid(t))
        return e + w.mlp(
            "fps_embedder.mlp.0", functional.silu, "fps_embedder.mlp.2", sinusoid(fps)
        )

    at_t = frame_mask[:, frame, None]
    e = torch.where(at_t, time(t)[:, None], time(torch.zeros_like(t))[:, None])
    mod = w.linear("t_block.1", functional.silu(e)).unflatten(-1, (6, -1))
    same_frame = frame[:, None] == frame
    place = row * grid[2] + column
    same_place = place[:, None] == place

    def block(name, x, attends, turn):
        shift, scale, gate, shift2, scale2, gate2 = (
            w[f"{name}.scale_shift_table"] + mod
        ).unbind(-2)
        q, k, v = w.linear(
            f"{name}.attn.qkv", layer_norm(x) * (1 + scale) + shift
        ).chunk(3, -1)
        q = per_head(
            q, heads, lambda y: turn(rms_norm(y, w[f"{name}.attn.q_norm.weight"]))
        )
        k = per_head(
            k, heads, lambda y: turn(rms_norm(y, w[f"{name}.attn.k_norm.weight"]))
        )
        x = x + gate * w.linear(f"{name}.attn.proj", attention(q, k, v, attends, heads))
        k, v = w.linear(f"{name}.cross_attn.kv_linear", text).chunk(2, -1)
        q = w.linear(f"{name}.cross_attn.q_linear", x)
        read = attention(q, k, v, text_mask[:, None, None], heads)
        x = x + w.linear(f"{name}.cross_attn.proj", read)
        y = layer_norm(x) * (1 + scale2) + shift2
        return x + gate2 * w.mlp(f"{name}.mlp.fc1", gelu, f"{name}.mlp.fc2", y)

    for i in range(depth):
        x = block(f"spatial_blocks.{i}", x, same_frame, lambda y: y)
        x = block(
            f"temporal_blocks.{i}", x, same_place, lambda y: turn_neighbours(y, frame)
        )
    shift, scale = (w["final_layer.scale_shift_table"] + e[..., None, :]).unbind(-2)
    x = w.linear("final_layer.linear", layer_norm(x) * (1 + scale) + shift)
    return from_patches(x, grid, 2 * latent_BCFHW.shape[1])


def open_sora_plan(w, latent_BCFHW, t, text, text_mask, *, layers, heads, skip=4):
    """Open-Sora Plan 1.3. The first two and the last two layers attend all tokens."""
    grid = latent_BCFHW.shape[2], latent_BCFHW.shape[3] // 2, latent_BCFHW.shape[4] // 2
    *axes, place = indices(grid)
    x = patches(w["pos_embed.proj.weight"], w["pos_embed.proj.bias"], latent_BCFHW)
    text = w.mlp(
        "caption_projection.linear_1", gelu, "caption_projection.linear_2", text
    )
    emb = "adaln_single.emb.timestep_embedder"
    e = w.mlp(f"{emb}.linear_1", functional.silu, f"{emb}.linear_2", sinusoid(t))
    mod = w.linear("adaln_single.linear", functional.silu(e)).unflatten(-1, (6, -1))

    def turn(x):
        thirds = x.chunk(3, -1)
        return torch.cat(
            [turn_halves(y, a) for y, a in zip(thirds, axes, strict=True)], -1
        )

    def project(name, x):
        return (w.linear(f"{name}.to_{letter}", x) for letter in "qkv")

    for i in range(layers):
        name = f"transformer_blocks.{i}"
        group = place * 0
        if 2 <= i < layers - 2:
            group = (place // skip if i % 2 else place) % skip
        shift, scale, gate, shift2, scale2, gate2 = (
            w[f"{name}.scale_shift_table"] + mod
        )[:, None].unbind(-2)
        q, k, v = project(f"{name}.attn1", layer_norm(x) * (1 + scale) + shift)
        q, k = per_head(q, heads, turn), per_head(k, heads, turn)
        seen = attention(q, k, v, group[:, None] == group, heads)
        x = x + gate * w.linear(f"{name}.attn1.to_out.0", seen)
        q = w.linear(f"{name}.attn2.to_q", x)
        _, k, v = project(f"{name}.attn2", text)
        read = attention(q, k, v, text_mask[:, None, None], heads)
        x = x + w.linear(f"{name}.attn2.to_out.0", read)
        y = layer_norm(x) * (1 + scale2) + shift2
        x = x + gate2 * w.mlp(f"{name}.ff.net.0.proj", gelu, f"{name}.ff.net.2", y)
    shift, scale = (w["scale_shift_table"] + e[:, None])[:, None].unbind(-2)
    x = w.linear("proj_out", layer_norm(x) * (1 + scale) + shift)
    return from_patches(x, grid, latent_BCFHW.shape[1])


def step_video(w, latent_BCFHW, t, text, text_mask, clip, *, layers, split):
    """Step-Video. split: a head's dims for (frame, row, column); clip is another text."""
    grid = latent_BCFHW.shape[2:]
    *axes, _ = indices(grid)
    x = patches(w["pos_embed.proj.weight"], w["pos_embed.proj.bias"], latent_BCFHW)
    heads = x.shape[-1] // sum(split)
    caption = "caption_projection.linear_"
    text = w.mlp(f"{caption}1", gelu, f"{caption}2", layer_norm(text))
    text = torch.cat([w.linear("clip_projection", clip), text], 1)
    reads = torch.cat([torch.ones(clip.shape[:2], dtype=bool), text_mask], 1)
    emb = "adaln_single.emb.timestep_embedder"
    e = w.mlp(f"{emb}.linear_1", functional.silu, f"{emb}.linear_2", sinusoid(t))
    mod = w.linear("adaln_single.linear", functional.silu(e)).unflatten(-1, (6, -1))

    def normed(name, x):
        scale, bias = w[f"{name}.weight"], w[f"{name}.bias"]
        return functional.layer_norm(x, x.shape[-1:], scale, bias, eps=1e-5)

    def turn(x):
        parts = zip(x.split(split, -1), axes, strict=True)
        return torch.cat([turn_halves(y, a) for y, a in parts], -1)

    def project(name, x, of):
        """The heads of each of `of` tensors that lie together, head by head."""
        y = functional.linear(x, w[f"{name}.weight"]).unflatten(-1, (heads, -1))
        return y.chunk(of, -1)

    for i in range(layers):
        name = f"transformer_blocks.{i}"
        own, read = f"{name}.attn1", f"{name}.attn2"
        shift, scale, gate, shift2, scale2, gate2 = (
            w[f"{name}.scale_shift_table"] + mod
        )[:, None].unbind(-2)
        y = normed(f"{name}.norm1", x) * (1 + scale) + shift
        q, k, v = project(f"{own}.wqkv", y, 3)
        q = turn(rms_norm(q, w[f"{own}.q_norm.weight"]))
        k = turn(rms_norm(k, w[f"{own}.k_norm.weight"]))
        everyone = torch.ones(1, dtype=bool)
        seen = attention(*(z.flatten(2) for z in (q, k, v)), everyone, heads)
        x = x + gate * functional.linear(seen, w[f"{own}.wo.weight"])
        (q,), (k, v) = project(f"{read}.wq", x, 1), project(f"{read}.wkv", text, 2)
        q = rms_norm(q, w[f"{read}.q_norm.weight"])
        k = rms_norm(k, w[f"{read}.k_norm.weight"])
        told = attention(
            *(z.flatten(2) for z in (q, k, v)), reads[:, None, None], heads
        )
        x = x + functional.linear(told, w[f"{read}.wo.weight"])
        y = normed(f"{name}.norm2", x) * (1 + scale2) + shift2
        y = gelu(functional.linear(y, w[f"{name}.ff.net.0.proj.weight"]))
        x = x + gate2 * functional.linear(y, w[f"{name}.ff.net.2.weight"])
    shift, scale = (w["scale_shift_table"] + e[:, None])[:, None].unbind(-2)
    x = w.linear("proj_out", layer_norm(x) * (1 + scale) + shift)
    return x.unflatten(1, grid)


def movie_gen(w, latent_BCFHW, t, texts, masks, *, layers, heads):
    """Movie Gen Video (arXiv 2410.13720, section 3.1, figure 8, tables 1 and 9).

    LLaMa3's blocks (RMSNorm, SwiGLU, no bias) with cross-attention between the two, scale,
    shift and gate of t (one layer for all blocks, and a table in each), learned vectors of
    frame, row and column added to every block's input. texts, masks: of each encoder.
    """
    grid = latent_BCFHW.shape[2], latent_BCFHW.shape[3] // 2, latent_BCFHW.shape[4] // 2
    frame, row, column, _ = indices(grid)
    x = patches(w["patches.weight"], w["patches.bias"], latent_BCFHW)
    position = w["phi_t"][frame] + w["phi_h"][row] + w["phi_w"][column]

    def of_encoder(i, text):
        scale, bias = w[f"text.{i}.norm.weight"], w[f"text.{i}.norm.bias"]
        y = w.linear(f"text.{i}.linear", text)
        return functional.layer_norm(y, y.shape[-1:], scale, bias, eps=1e-6)

    text = torch.cat([of_encoder(i, y) for i, y in enumerate(texts)], 1)
    reads = torch.cat(masks, 1)[:, None, None]
    everyone = torch.ones(1, dtype=bool)
    e = w.mlp("time.0", functional.silu, "time.2", sinusoid(t))
    mod = w.linear("modulation", functional.silu(e)).unflatten(-1, (6, -1))

    def normed(name, x):
        return rms_norm(x, w[f"{name}.weight"], eps=1e-5)

    def matrix(name, x):
        return functional.linear(x, w[f"{name}.weight"])

    def attend(name, x, of, attends):
        q, k, v = (
            matrix(f"{name}.q", x),
            matrix(f"{name}.k", of),
            matrix(f"{name}.v", of),
        )
        return matrix(f"{name}.o", attention(q, k, v, attends, heads))

    for i in range(layers):
        name = f"layers.{i}"
        x = x + position
        shift, scale, gate, shift2, scale2, gate2 = (w[f"{name}.modulation"] + mod)[
            :, None
        ].unbind(-2)
        y = normed(f"{name}.attention_norm", x) * (1 + scale) + shift
        x = x + gate * attend(f"{name}.attention", y, y, everyone)
        y = normed(f"{name}.cross_norm", x)
        x = x + attend(f"{name}.cross", y, text, reads)
        y = normed(f"{name}.ffn_norm", x) * (1 + scale2) + shift2
        y = functional.silu(matrix(f"{name}.w1", y)) * matrix(f"{name}.w3", y)
        x = x + gate2 * matrix(f"{name}.w2", y)
    shift, scale = (w["final.modulation"] + e[:, None])[:, None].unbind(-2)
    x = w.linear("final.linear", layer_norm(x) * (1 + scale) + shift)
    return from_patches(x, grid, latent_BCFHW.shape[1])
