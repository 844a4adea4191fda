"""The family's sharding table: (regex over dotted paths, logical axes), the first match wins.

Every rule decides leaves of every member, whatever it lacks: biases, an image, a second text.
"""

from videogen.parallel.rules import Table

SHARDING: Table = (
    (r"attn[12]\.(to_[qkv]|add_[kv]_proj)\.kernel$", ("layers", "embed", "heads")),
    (r"attn[12]\.to_out\.kernel$", ("layers", "heads", "embed")),
    (r"ffn\.(up|gate)\.kernel$", ("layers", "embed", "mlp")),
    (r"ffn\.down\.kernel$", ("layers", "mlp", "embed")),
    (
        r"blocks\.(scale_shift_table|modulation\.linear\.kernel)$",
        ("layers", None, "embed"),
    ),
    # Norms' scales and all biases: small, on every device.
    (r"blocks\..*(scale|bias)$", ("layers", None)),
    (r"text_embedder\.linear(_1)?\.kernel$", ("embed", "mlp")),
    (r"(text|time|image)_embedder\.linear_2\.kernel$", ("mlp", "embed")),
    # Of few or odd inputs: what a second or third text encoder tells, too.
    (
        r"(patch_embedding|(time|image)_embedder\.linear_1"
        r"|text\d_embedder(\.linear)?)\.kernel$",
        (None, "embed"),
    ),
    (r"(time_proj|proj_out)\.kernel$", ("embed", None)),
    (r"scale_shift_table$|positions\.(frames|rows|columns)$", (None, None)),
    (r"(scale|bias)$", (None,)),
)
