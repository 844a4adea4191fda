"""Wan's sharding table: (regex over dotted paths, logical axes), the first match wins."""

from videogen.parallel.rules import Table

SHARDING: Table = (
    (r"attn[12]\.to_[qkv]\.kernel$", ("layers", "embed", "heads")),
    (r"attn[12]\.to_[qkv]\.bias$", ("layers", "heads")),
    (r"attn[12]\.to_out\.kernel$", ("layers", "heads", "embed")),
    (r"ffn\.up\.kernel$", ("layers", "embed", "mlp")),
    (r"ffn\.up\.bias$", ("layers", "mlp")),
    (r"ffn\.down\.kernel$", ("layers", "mlp", "embed")),
    (
        r"blocks\.(scale_shift_table|modulation\.linear\.kernel)$",
        ("layers", None, "embed"),
    ),
    # Norms' scales and biases, and biases of the residual stream: small, on every device.
    (r"blocks\..*(scale|bias)$", ("layers", None)),
    (r"text_embedder\.linear_1\.kernel$", ("embed", "mlp")),
    (r"text_embedder\.linear_1\.bias$", ("mlp",)),
    (r"text_embedder\.linear_2\.kernel$", ("mlp", "embed")),
    (r"(patch_embedding|time_embedder\.linear_1)\.kernel$", (None, "embed")),
    (r"(time_embedder\.linear_2|time_proj|proj_out)\.kernel$", ("embed", None)),
    (r"scale_shift_table$|positions\.(frames|rows|columns)$", (None, None)),
    (r"bias$", (None,)),
)
