"""Kandinsky's sharding table: (regex over dotted paths, logical axes), first match wins."""

from videogen.parallel.rules import Table

# Both stacks: blocks and text_blocks.
SHARDING: Table = (
    (r"attn[12]\.to_[qkv]\.kernel$", ("layers", "embed", "heads")),
    (r"attn[12]\.to_[qkv]\.bias$", ("layers", "heads")),
    (r"attn[12]\.to_out\.kernel$", ("layers", "heads", "embed")),
    (r"ff\.up\.kernel$", ("layers", "embed", "mlp")),
    (r"ff\.down\.kernel$", ("layers", "mlp", "embed")),
    (r"modulation\.linear\.kernel$", ("layers", None, "embed")),
    (r"modulation\.linear\.bias$", ("layers", None)),
    # Norms' scales and biases of the residual stream: small, on every device.
    (r"blocks\..*(scale|bias)$", ("layers", None)),
    (
        r"(patch_embedding|text_embedder\.linear|pooled_embedder\.linear"
        r"|time_embedder\.linear_1|norm_out\.linear)\.kernel$",
        (None, "embed"),
    ),
    (r"(time_embedder\.linear_2|proj_out)\.kernel$", ("embed", None)),
    (r"(scale|bias)$", (None,)),
)
