"""How XLA compiles the step for TPUs: its flags, ours and those of `mesh.xla`."""

from collections.abc import Iterable

from videogen.core.errors import ConfigError

# Never a loop of thin products for a product with a cut operand, 5-12 times slower: what is
# to be gathered is gathered at once (gather.py).
TPU = {"xla_jf_spmd_threshold_for_windowed_einsum_mib": "1000000"}
WORDS = {"true": True, "false": False}


def parse(flags: Iterable[str]) -> dict[str, str | bool]:
    """Flags as jax.jit takes them, of "name=value". ConfigError for another form."""
    options: dict[str, str | bool] = {}
    for flag in flags:
        name, equals, value = flag.removeprefix("--").partition("=")
        if not (name.startswith("xla_") and equals and value):
            raise ConfigError(
                f"mesh.xla has {flag!r}; 'xla_name=value' would be a flag, as "
                "'xla_enable_async_all_gather=true'"
            )
        options[name] = WORDS.get(value, value)
    return options


def options(flags: Iterable[str], platform: str) -> dict[str, str | bool] | None:
    """What jax.jit takes as compiler_options; None but on TPUs, whose flags these are."""
    return TPU | parse(flags) if platform == "tpu" else None
