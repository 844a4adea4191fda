"""The sharding table: (regex over dotted paths, logical axes), the first match wins."""

from videogen.parallel.rules import Table

SHARDING: Table = (
    (r"\.to_[qkv]\.kernel$", ("layers", "embed", "heads")),
    (r"\.to_out\.kernel$", ("layers", "heads", "embed")),
    (r"ff\w*\.(up|gate)\.kernel$", ("layers", "embed", "mlp")),
    (r"ff\w*\.down\.kernel$", ("layers", "mlp", "embed")),
    (r"blocks\.scale_shift_table\w*$", ("layers", None, "embed")),
    # Norms' scales and biases: small, on every device.
    (r"blocks\..*(scale|bias)$", ("layers", None)),
    (r"text_embedder\.linear_1\.kernel$", ("embed", "mlp")),
    (r"text_embedder\.linear_1\.bias$", ("mlp",)),
    (r"text_embedder\.linear_2\.kernel$", ("mlp", "embed")),
    (r"(patch_embedding|time_embedder\.linear_1)\.kernel$", (None, "embed")),
    (r"(time_embedder\.linear_2|time_proj|proj_out)\.kernel$", ("embed", None)),
    (r"scale_shift_table$", (None, None)),
    (r"bias$", (None,)),
)
