"""DiT and diffusers'; DiT, SiT and Latte, and the published formulas in PyTorch."""

import dataclasses
import math

import numpy as np
import torch
from parity.harness import Twin, tensor
from torch import nn

from videogen.models.dit.config import DiTConfig

LABEL_B = np.array([1, -1, 4], np.int32)
DIT = DiTConfig(
    **{"latent_channels": 3, "out_channels": 6, "width": 24, "depth": 2},
    **{"num_heads": 2, "mlp_width": 96, "num_classes": 5, "position": "sincos_2d"},
)
LATTE = dataclasses.replace(DIT, depth=4, factorised=True)


def formulas(name="dit_xl_2", config=DIT, sizes=(1, 6, 10)) -> Twin:
    """The authors' own, below."""

    def theirs(model, latent, t):
        return model(latent, 1000 * t, tensor(LABEL_B).long())

    return Twin(
        name=name,
        names="native",
        config=config,
        sizes=sizes,
        make=lambda: Published(config),
        theirs=theirs,
        ours=_ours,
    )


def latte() -> Twin:
    return formulas("latte_xl_2_ucf101", LATTE, (3, 6, 10))


def _ours(velocity, latent, t):
    return velocity(latent, t, label_B=LABEL_B)


def diffusers() -> Twin:
    """Theirs, of the images it has positions for, with the authors' sinusoids of time."""

    def theirs(model, latent, t):
        label = tensor(LABEL_B).long() % (DIT.num_classes + 1)
        out = model(latent[:, 0].permute(0, 3, 1, 2), 1000 * t, label)
        return out.sample.permute(0, 2, 3, 1)[:, None]

    def adapt(model):
        embedders = model.transformer_blocks[0].norm1.emb
        embedders.time_proj.downscale_freq_shift = 0
        for block in model.transformer_blocks:
            block.norm1.emb = embedders  # one, so that its gradient is whole

    return Twin(
        name="dit_xl_2",
        config=DIT,
        sizes=(1, 32, 32),
        theirs=theirs,
        ours=_ours,
        adapt=adapt,
        zero_gradients=r"to_k\.bias",
    )


def sines(place_N, width):
    """Sines then cosines of place * 1e4^(-2i / width)."""
    rates = 1e4 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.outer(place_N.double(), rates)
    return torch.cat([angles.sin(), angles.cos()], -1).float()


def modulate(x, shift, scale):
    x = nn.functional.layer_norm(x, x.shape[-1:], eps=1e-6)
    return x * (1 + scale) + shift


class Attention(nn.Module):
    """Over the last dim of tokens but one."""

    def __init__(self, width, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).unbind(-3)
        scores = torch.einsum("...nke,...ske->...kns", q, k) / math.sqrt(q.shape[-1])
        o = torch.einsum("...kns,...ske->...nke", scores.softmax(-1), v)
        return self.proj(o.flatten(-2))


class MLP(nn.Module):
    def __init__(self, width, mlp_width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, mlp_width), nn.Linear(mlp_width, width)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x), approximate="tanh"))


def modulation(width, num):
    return nn.Sequential(nn.SiLU(), nn.Linear(width, num * width))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config.width
        self.attn = Attention(width, config.num_heads)
        self.mlp = MLP(width, config.mlp_width)
        self.adaLN_modulation = modulation(width, 6)

    def forward(self, x, c, across):
        shift, scale, gate, *of_mlp = self.adaLN_modulation(c).chunk(6, -1)
        y = modulate(x, shift, scale)
        y = self.attn(y.transpose(1, 2)).transpose(1, 2) if across else self.attn(y)
        x = x + gate * y
        return x + of_mlp[2] * self.mlp(modulate(x, *of_mlp[:2]))


class Published(nn.Module):
    """x_BFSD: S places of F frames. Names as in the authors' code."""

    def __init__(self, config):
        super().__init__()
        width, patch = config.width, config.patch[1:]
        self.config = config
        self.x_embedder = nn.ModuleDict(
            {"proj": nn.Conv2d(config.latent_channels, width, patch, patch)}
        )
        self.t_embedder = nn.ModuleDict(
            {
                "mlp": nn.Sequential(
                    nn.Linear(config.freq_dim, width),
                    nn.SiLU(),
                    nn.Linear(width, width),
                )
            }
        )
        if config.num_classes:
            table = nn.Embedding(config.num_classes + 1, width)
            self.y_embedder = nn.ModuleDict({"embedding_table": table})
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.final_layer = nn.ModuleDict(
            {
                "linear": nn.Linear(width, config.out_dim),
                "adaLN_modulation": modulation(width, 2),
            }
        )

    def forward(self, latent_BFHWC, t_B, label_B):
        """Of the time as the authors give it."""
        config, (_, h, w) = self.config, self.config.patch
        images = latent_BFHWC.flatten(0, 1).permute(0, 3, 1, 2)
        x = self.x_embedder["proj"](images)
        rows, columns = x.shape[2:]
        row_S, column_S = torch.cartesian_prod(
            torch.arange(rows), torch.arange(columns)
        ).T
        half = config.width // 2
        place_SD = torch.cat([sines(column_S, half), sines(row_S, half)], -1)
        x = x.flatten(2).mT.unflatten(0, latent_BFHWC.shape[:2]) + place_SD
        rates = 1e4 ** (-torch.arange(0, config.freq_dim, 2) / config.freq_dim)
        angles = t_B[:, None] * rates
        c = self.t_embedder["mlp"](torch.cat([angles.cos(), angles.sin()], -1))
        if config.num_classes:
            c = c + self.y_embedder["embedding_table"](
                label_B % (config.num_classes + 1)
            )
        c = c[:, None, None]
        for i, block in enumerate(self.blocks):
            if config.factorised and i == 1:
                frames = torch.arange(x.shape[1])
                x = x + sines(frames, config.width)[:, None]
            x = block(x, c, across=config.factorised and i % 2 == 1)
        x = modulate(x, *self.final_layer["adaLN_modulation"](c).chunk(2, -1))
        x = self.final_layer["linear"](x)
        x = x.unflatten(3, (h, w, -1)).unflatten(2, (rows, columns))
        return x.permute(0, 1, 2, 4, 3, 5, 6).flatten(4, 5).flatten(2, 3)
