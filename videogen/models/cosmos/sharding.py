"""Cosmos's sharding table: (regex over dotted paths, logical axes), the first match wins."""

from videogen.parallel.rules import Table

SHARDING: Table = (
    (r"attn[12]\.to_[qkv]\.kernel$", ("layers", "embed", "heads")),
    (r"attn[12]\.to_out\.kernel$", ("layers", "heads", "embed")),
    (r"ff\.up\.kernel$", ("layers", "embed", "mlp")),
    (r"ff\.down\.kernel$", ("layers", "mlp", "embed")),
    (r"norm[123]\.linear_1\.kernel$", ("layers", "embed", None)),
    (r"norm[123]\.linear_2\.kernel$", ("layers", None, "embed")),
    # Norms' scales: small, on every device.
    (r"blocks\..*scale$", ("layers", None)),
    # In one rule each: not every network has learned positions and a projection of text.
    (
        r"(patch_embed|norm_out\.linear_2)\.kernel$"
        r"|learnable_pos_embed\.(frames|rows|columns)$",
        (None, "embed"),
    ),
    (
        r"(time_embed\.linear_[12]|crossattn_proj|norm_out\.linear_1|proj_out)\.kernel$",
        ("embed", None),
    ),
    (r"time_embed\.norm\.scale$|crossattn_proj\.bias$", (None,)),
)
