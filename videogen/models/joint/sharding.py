"""The sharding table: (regex over dotted paths, logical axes), the first match wins.

Few rules, of many names each: a model without some part leaves none of them idle.
"""

from videogen.parallel.rules import Table

SHARDING: Table = (
    (r"\.to_[qkv]\.kernel$", ("layers", "embed", "heads")),
    (r"\.to_[qkv]\.bias$", ("layers", "heads")),
    (r"\.to_out\.kernel$", ("layers", "heads", "embed")),
    (r"(up|proj_mlp)\.kernel$", ("layers", "embed", "mlp")),
    (r"(up|proj_mlp)\.bias$", ("layers", "mlp")),
    (
        r"(down|single_transformer_blocks\.proj_out)\.kernel$",
        ("layers", "mlp", "embed"),
    ),
    (r"blocks\.norm\w*\.linear\.kernel$", ("layers", "embed", None)),
    # Norms' scales and biases, and biases of the residual stream: small, on every device.
    (r"blocks\..*(scale|bias)$", ("layers", None)),
    (
        r"(x_embedder|given_embedder|proj_in|context_embedder|linear_1)\.kernel$"
        r"|cond_type_embed$",
        (None, "embed"),
    ),
    (r"(linear_[23]|norm_out\.linear|proj_out)\.kernel$", ("embed", None)),
    (r"(scale|bias)$", (None,)),
)
