"""DiT's sharding table: (regex over dotted paths, logical axes), the first match wins."""

from videogen.parallel.rules import Table

SHARDING: Table = (
    (r"attn1\.to_[qkv]\.kernel$", ("layers", "embed", "heads")),
    (r"attn1\.to_[qkv]\.bias$", ("layers", "heads")),
    (r"attn1\.to_out\.kernel$", ("layers", "heads", "embed")),
    (r"ff\.up\.kernel$", ("layers", "embed", "mlp")),
    (r"ff\.up\.bias$", ("layers", "mlp")),
    (r"ff\.down\.kernel$", ("layers", "mlp", "embed")),
    (r"norm1\.linear\.kernel$", ("layers", "embed", None)),
    (r"blocks\..*bias$", ("layers", None)),
    # In one rule: an unconditional network has no class table.
    (
        r"(patch_embedding|time_embedder\.linear_1)\.kernel$|embedding_table$",
        (None, "embed"),
    ),
    (r"(time_embedder\.linear_2|norm_out\.linear|proj_out)\.kernel$", ("embed", None)),
    (r"bias$", (None,)),
)
