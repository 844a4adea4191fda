"""How every door opens: one config flag, errors as one line, one table of exit codes.

Exit codes: 0 done, 42 preempted and saved (start again), 43 a field or file is wrong (do
not start again before it is mended), 45 the loss stayed non-finite.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jax
from absl import app, flags, logging

from videogen import build
from videogen.build import Settings
from videogen.core.errors import ConfigError, DataError
from videogen.parallel import multihost
from videogen.train.metrics import NonFiniteError

EXIT_USAGE = 43
EXIT_NON_FINITE = 45


def define_config(
    without: str = "Without it: the config recorded in --workdir.",
) -> None:
    """--config=FILE.py, and --config.a.b=c for each field to override."""
    flags.DEFINE_string(
        "config",
        None,
        "A file with get_config(), e.g. configs/quickstart.py; --config.a.b=c overrides "
        f"a field. {without}",
    )
    flags.DEFINE_multi_string("override", [], "a.b=c, which is --config.a.b=c.")


def define_sample() -> None:
    """--latent and --text_tokens: one sample, where no dataset says."""
    flags.DEFINE_string("latent", "", "FxHxW of the latent; default: published.")
    flags.DEFINE_integer(
        "text_tokens", None, "Of all encoders; default: published.", lower_bound=0
    )
    flags.DEFINE_integer(
        "global_batch", None, "Short for --config.data.global_batch.", lower_bound=1
    )


def define_workdir() -> flags.FlagHolder[str]:
    """--workdir=DIR, required."""
    return flags.DEFINE_string("workdir", None, "The run's directory.", required=True)


def given_config() -> str:
    """--config, of a door without a workdir."""
    if flags.FLAGS.config is None:
        raise ConfigError("--config is missing: give a file, as configs/dit_xl_2.py")
    return flags.FLAGS.config


def sample_overrides() -> list[str]:
    """--config.a.b=c of all fields, and --global_batch. ConfigError for two batches."""
    given, clips = list(flags.FLAGS.override), flags.FLAGS.global_batch
    if clips is None:
        return given
    for text in given:
        if text.startswith("data.global_batch="):
            raise ConfigError(f"--global_batch={clips} and --config.{text}: give one")
    return [*given, f"data.global_batch={clips}"]


def check_folder(flag: flags.FlagHolder[Any]) -> None:
    """ConfigError unless the flag's file, if one is given, can be in the folder it names."""
    if flag.value and Path(flag.value).is_dir():
        raise ConfigError(f"--{flag.name}={flag.value} is a folder: give a file in it")
    if flag.value and not Path(flag.value).parent.is_dir():
        raise ConfigError(f"--{flag.name}={flag.value}: its folder does not exist")


def settings() -> Settings:
    """The config that the flags describe, checked."""
    values = flags.FLAGS
    if values.config is None:
        config = build.recorded_config(Path(values.workdir))
    else:
        config = build.load_config(values.config)
    build.override(config, values.override)
    return build.read(config)


def run(main: Callable[[], int | None]) -> None:
    """Parses the flags and runs `main`; errors for users print one line."""
    app.run(lambda _: guard(main), flags_parser=parse)


def guard(main: Callable[[], int | None]) -> None:
    """Runs `main` and exits with its code; errors for users print one line."""
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # the libraries' chatter is on request
    try:
        code = main()
    except (ConfigError, DataError, NonFiniteError) as error:
        fail(str(error), exit_code(error))
    sys.exit(code or 0)


def distributed(main: Callable[[], int | None]) -> int | None:
    """`main`, joined to the job's other processes: a user's error ends all of them."""
    multihost.initialize()
    process_guard = multihost.install_guard()
    try:
        return main()
    except (ConfigError, DataError, NonFiniteError) as error:
        if not jax.distributed.is_initialized():
            raise
        # The other processes wait in a collective: they must be told.
        process_guard.abort(str(error), exit_code(error))


def exit_code(error: Exception) -> int:
    """The exit code of an error for users."""
    return EXIT_NON_FINITE if isinstance(error, NonFiniteError) else EXIT_USAGE


def fail(message: str, code: int = EXIT_USAGE) -> NoReturn:
    """One line on stderr, and out."""
    print(f"error: {message}", file=sys.stderr, flush=True)
    sys.exit(code)


def say(text: str) -> None:
    """Prints it all; a reader that left early (`| head`) is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Python flushes stdout once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class ArgumentParser(argparse.ArgumentParser):
    """argparse whose errors are one line and end as every door's do."""

    def __init__(self, **keywords: Any):
        keywords.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**keywords)

    def error(self, message: str) -> NoReturn:
        fail(f"{message} (see --help)")


def parse(argv: Sequence[str]) -> list[str]:
    """absl's parser, with --config.a.b=c as --override=a.b=c."""
    argv = [_as_override(arg) for arg in argv]
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        fail(str(error))
    except SystemExit:  # --help was shown: absl calls that a failure
        sys.exit(0)
    if len(rest) > 1:
        fail(f"unexpected argument {rest[1]!r}: flags are written --name=value")
    return rest


def _as_override(arg: str) -> str:
    name = arg.lstrip("-")
    if arg.startswith("-") and name.startswith("config."):
        return f"--override={name.removeprefix('config.')}"
    return arg
