"""A published model: its size, and what its authors say of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from videogen.models.weights import WeightTable

Status = Literal["exact", "approximate", "style"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """One row of `videogen models`.

    config: of a family.
    parameters: what the release counts, fixed tables that we compute included; None: it
        was never said.
    fixed: numbers in such tables (sincos positions).
    latent_FHWC: of one sample at the flagship shape, as the network sees it.
    text_tokens: of all text encoders together.
    status: "exact", counted on the release; "approximate", its geometry is published and
        small parts are ours; "style", built from what is public of a closed model.
    diffusers_config: what config.json of diffusers' class says of this config.
    weights: tables of released checkpoints, by who wrote them ("diffusers", "native").
    assumed: what the authors do not say, a line each.
    experts: networks of this config, by noise level, of which one runs at a time.
    """

    config: Any
    parameters: int | None
    latent_FHWC: tuple[int, int, int, int]
    text_tokens: int
    source: str
    fixed: int = 0
    status: Status = "exact"
    experts: int = 1
    weights: Mapping[str, Callable[[Any], WeightTable]] = field(default_factory=dict)
    diffusers_config: Callable[[Any], dict[str, Any]] | None = None
    assumed: tuple[str, ...] = ()
