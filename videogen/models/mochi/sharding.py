"""Mochi's sharding table: (regex over dotted paths, logical axes), the first match wins."""

from videogen.parallel.rules import Table

SHARDING: Table = (
    (r"attn1\.(video|text)\.to_[qkv]\.kernel$", ("layers", "embed", "heads")),
    (r"attn1\.(video|text)\.to_out\.kernel$", ("layers", "heads", "embed")),
    (r"ff(_context)?\.(gate|up)\.kernel$", ("layers", "embed", "mlp")),
    (r"ff(_context)?\.down\.kernel$", ("layers", "mlp", "embed")),
    (r"norm1(_context)?\.linear\.kernel$", ("layers", "embed", None)),
    # Norms' scales, and biases of the residual stream: small, on every device.
    (r"blocks\..*(scale|bias)$", ("layers", None)),
    (r"pooler\.to_(kv|q)\.kernel$", ("embed", "heads")),
    (r"pooler\.to_(kv|q)\.bias$", ("heads",)),
    (r"pooler\.to_out\.kernel$", ("heads", "embed")),
    (r"(patch_embed|embedder\.linear_[12]|caption_proj)\.kernel$", (None, "embed")),
    (r"(norm_out\.linear|proj_out)\.kernel$", ("embed", None)),
    (r"pos_frequencies$", (None, None, None)),
    (r"bias$", (None,)),
)
