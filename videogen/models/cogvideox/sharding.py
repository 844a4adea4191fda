"""CogVideoX's sharding table: (regex over dotted paths, logical axes), the first match wins."""

from videogen.parallel.rules import Table

SHARDING: Table = (
    (r"attn1\.to_[qkv]\.kernel$", ("layers", "embed", "heads")),
    (r"attn1\.to_[qkv]\.bias$", ("layers", "heads")),
    (r"attn1\.to_out\.kernel$", ("layers", "heads", "embed")),
    (r"ff\.up\.kernel$", ("layers", "embed", "mlp")),
    (r"ff\.up\.bias$", ("layers", "mlp")),
    (r"ff\.down\.kernel$", ("layers", "mlp", "embed")),
    (r"norm[12]\.linear\.kernel$", ("layers", None, "embed")),
    # Norms' scales and biases, and biases of the residual stream: small, on every device.
    (r"blocks\..*(scale|bias)$", ("layers", None)),
    # In one rule what some sizes have and others have not: a table of positions, an offset.
    (
        r"(proj|linear_[12]|norm_out\.linear)\.kernel$|pos_embedding\.table$",
        (None, "embed"),
    ),
    (r"proj_out\.kernel$", ("embed", None)),
    (r"(scale|bias)$", (None,)),
)
