"""Rows about published models: what `videogen models` prints."""

import dataclasses
import math
from typing import Any

from videogen.models import FAMILIES, find_published
from videogen.models.published import Published
from videogen.nn.fence import Network
from videogen.nn.patch import token_grid

COLUMNS = ("model", "parameters", "tokens", "train PFLOP", "status", "weights")


def rows_of(name: str | None) -> list[dict[str, Any]]:
    """One model, or all in the order of families."""
    if name is not None:
        family, published = find_published(name)
        return [row(name, family, published)]
    return [
        row(model, family, published)
        for family, parts in FAMILIES.items()
        for model, published in parts.published.items()
    ]


def row(name: str, family: str, published: Published) -> dict[str, Any]:
    """All figures of one model, as JSON has them."""
    parts, config = FAMILIES[family], published.config
    network = Network.of(parts.make(config))
    counted = sum(math.prod(leaf.shape) for leaf in network.abstract().values())
    flops = parts.flops(config, published.latent_FHWC, published.text_tokens)
    return {
        "model": name,
        "family": family,
        "parameters": (counted + published.fixed) * published.experts,
        "fixed": published.fixed,
        "experts": published.experts,
        "published_parameters": published.parameters,
        "latent_FHWC": published.latent_FHWC,
        "tokens": math.prod(token_grid(published.latent_FHWC[:3], config.patch)),
        "text_tokens": published.text_tokens,
        "train_pflop": 3 * flops / 1e15,
        "status": published.status,
        "weights": list(published.weights),
        "source": published.source,
        "assumed": published.assumed,
        "config": dataclasses.asdict(config),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Models by columns, aligned."""
    lines = [COLUMNS, *(cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 0 < i < 4 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table."""
    return (
        row["model"],
        f"{row['parameters']:,}",
        f"{row['tokens']:,}",
        f"{row['train_pflop']:.3g}",
        row["status"],
        ", ".join(row["weights"]),
    )


def details(row: dict[str, Any]) -> str:
    """One model, a line a figure."""
    return "\n".join(f"{name}: {value}" for name, value in row.items())
