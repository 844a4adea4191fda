"""MAGI-1's sharding table: (regex over dotted paths, logical axes), first match wins."""

from videogen.parallel.rules import Table

SHARDING: Table = (
    (r"attn[12]\.to_[qkv]\.kernel$", ("layers", "embed", "heads")),
    (r"attn[12]\.to_out\.kernel$", ("layers", "heads", "embed")),
    (r"ffn\.(up|gate)\.kernel$", ("layers", "embed", "mlp")),
    (r"ffn\.down\.kernel$", ("layers", "mlp", "embed")),
    (r"modulation\.linear\.kernel$", ("layers", None, "embed")),
    # Norms' scales and biases, and biases of the residual stream: small, on every device.
    (r"blocks\..*(scale|bias)$", ("layers", None)),
    (r"(patch_embedding|text_embedder|linear_1)\.kernel$", (None, "embed")),
    (r"(linear_2|pooled_embedder|proj_out)\.kernel$", ("embed", None)),
    (r"null_text$", (None, "embed")),
    (r"(bias|scale|bands)$", (None,)),
)
