"""Real attention shapes as data: one table for tests, benchmarks and tuning.

Tags: "self", "cross" the kind; "ci" cheap enough for every test run as it is; "video" at
the size people train, tests shrink these.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class AttentionSpec:
    """Shapes of one call: q (B, N, K, E) against k and v (B, S, G, E)."""

    B: int = 1
    N: int  # query tokens
    S: int  # key/value tokens
    K: int  # query heads
    G: int  # key/value heads
    E: int  # head dim
    tags: frozenset[str]

    def shrink(self, divisor: int) -> "AttentionSpec":
        """As many heads, `divisor` times fewer batch rows and tokens (at least one)."""
        B, N, S = (max(1, size // divisor) for size in (self.B, self.N, self.S))
        return replace(self, B=B, N=N, S=S, tags=self.tags - {"video"} | {"ci"})


def _self(N: int, K: int, E: int, *tags: str, B: int = 1, G: int | None = None):
    tags_and_kind = frozenset({"self", *tags})
    return AttentionSpec(
        B=B, N=N, S=N, K=K, G=K if G is None else G, E=E, tags=tags_and_kind
    )


def _cross(N: int, S: int, K: int, E: int, *tags: str, B: int = 1):
    return AttentionSpec(B=B, N=N, S=S, K=K, G=K, E=E, tags=frozenset({"cross", *tags}))


# Tokens = latent frames * (latent height / patch) * (latent width / patch).
SPECS: dict[str, AttentionSpec] = {
    # Wan 2.1 (arXiv 2503.20314): 21 * 30 * 52 and 21 * 45 * 80 tokens, 512 of text.
    "wan_1p3b_480p_81f": _self(32_760, 12, 128, "video"),
    "wan_1p3b_480p_81f_text": _cross(32_760, 512, 12, 128, "video"),
    "wan_14b_720p_81f": _self(75_600, 40, 128, "video"),
    "wan_14b_720p_81f_text": _cross(75_600, 512, 40, 128, "video"),
    # HunyuanVideo (arXiv 2412.03603): 33 * 45 * 80 video tokens and 256 of text, jointly.
    "hunyuan_720p_129f": _self(119_056, 24, 128, "video"),
    # MAGI-1 4.5B (arXiv 2505.13211): one chunk of 24 frames, 6 * 45 * 80; grouped heads.
    "magi_4p5b_720p_24f": _self(21_600, 24, 128, "video", G=8),
    # CogVideoX-2B (arXiv 2408.06072): 13 * 30 * 45 video tokens and 226 of text, jointly.
    "cogvideox_2b_480p_49f": _self(17_776, 30, 64, "video"),
    # What benchmarks compare, per head dim; and the most tokens one device must hold.
    "heads_of_128": _self(32_768, 12, 128, "video"),
    "heads_of_72": _self(32_768, 16, 72, "video"),
    "heads_of_64": _self(32_768, 16, 64, "video"),
    "longest": _self(262_144, 12, 128, "video"),
    # Latte-XL/2 (arXiv 2401.03048), 16 frames at 256: 16 * 16 tokens a frame, in turns
    # within each frame and along time.
    "latte_256_spatial": _self(256, 16, 72, "ci", B=16),
    "latte_256_temporal": _self(16, 16, 72, "ci", B=256),
    # configs/quickstart.py: width 192 in 6 heads, 32 tokens of text.
    "quickstart": _self(320, 6, 32, "ci", B=2),
    "quickstart_text": _cross(320, 32, 6, 32, "ci", B=2),
}
