"""`python -m launch run --target local:4x2 -- --config=... --workdir=...`."""

import argparse
import difflib
import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, cast

from launch import local, tpu_vm
from launch.target import BAD_INPUT, HeldTarget, Job, Kind, LaunchError, Target

TARGETS: dict[str, Kind] = {"local": local.KIND, "tpu-vm": tpu_vm.KIND}
TRAIN = "videogen.train"
# Flags of videogen's modules that name a directory on the workers.
_DIRECTORIES = ("workdir", "config.data.path")
# Command -> method of a target that outlives a run.
HELD = {"logs": "follow", "status": "status", "stop": "stop", "delete": "delete"}
HELP = {
    "run": "run a module on all workers of a target, to its end",
    "logs": "follow the logs of a job that runs already",
    "status": "say what the target and its workers do",
    "stop": "end the job with time to save; keep the machines",
    "delete": "delete the machines",
}


class _Parser(argparse.ArgumentParser):
    """Reports misuse as one line, like every other bad input."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments"):
            message += " (the program's own arguments go after `--`)"
        raise LaunchError(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: the job's own, 43 for bad input."""
    try:
        return _dispatch(list(sys.argv[1:] if argv is None else argv))
    except LaunchError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return BAD_INPUT
    except KeyboardInterrupt:
        return 130


def _dispatch(argv: list[str]) -> int:
    own, args = _split(argv)
    options = _parser().parse_args(own)
    target = _make_target(options, own)
    job = Job(
        module=options.module,
        args=tuple(args),
        root=Path.cwd(),
        logs=options.logs or Path("runs/launch", time.strftime("%Y%m%d-%H%M%S")),
        env_file=options.env_file,
        grace_s=options.grace,
        dry_run=options.dry_run,
    )
    if options.command == "run":
        _check_args(job)
        return target.run(job)
    method = getattr(cast(HeldTarget, target), HELD[options.command], None)
    if method is None:
        raise LaunchError(
            f"{options.target} lasts only as long as its run: nothing to "
            f"{options.command}"
        )
    return method(job)


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """The launcher's own arguments, and the program's after the first `--`."""
    if "--" not in argv:
        return argv, []
    cut = argv.index("--")
    return argv[:cut], argv[cut + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="launch", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in HELP.items():
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        usages = " | ".join(kind.usage for kind in TARGETS.values())
        sub.add_argument("--target", required=True, metavar=usages)
        sub.add_argument("--logs", type=Path, help="default: runs/launch/TIME")
        sub.add_argument(
            "--dry-run", action="store_true", help="only print the commands"
        )
        sub.add_argument(
            "--grace", type=float, default=30.0, help="seconds to save when stopped"
        )
        sub.add_argument("--module", default=TRAIN, help=f"default: {TRAIN}")
        sub.add_argument("--env-file", type=Path, help="KEY=VALUE lines, never on argv")
        for kind in TARGETS.values():
            kind.add_flags(sub.add_argument_group(f"only for {kind.usage}"))
    return parser


def _make_target(options: argparse.Namespace, own: list[str]) -> Target:
    kind, colon, name = options.target.partition(":")
    usages = ", ".join(kind.usage for kind in TARGETS.values())
    if kind not in TARGETS:
        near = difflib.get_close_matches(kind, TARGETS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise LaunchError(f"target {options.target!r}: {hint}want one of: {usages}")
    if not colon or not name:
        raise LaunchError(f"target {options.target!r}: want {TARGETS[kind].usage}")
    _refuse_flags_of_others(kind, own)
    return TARGETS[kind].make(name, options)


def _refuse_flags_of_others(chosen: str, own: list[str]) -> None:
    """A flag that would be ignored is a misunderstanding: say so."""
    for name, kind in TARGETS.items():
        parser = _Parser(add_help=False, allow_abbrev=False)
        kind.add_flags(parser.add_argument_group())
        given = vars(parser.parse_known_args(own)[0]).items()
        for flag, value in given if name != chosen else ():
            if value != parser.get_default(flag):
                flag = flag.replace("_", "-")
                raise LaunchError(f"--{flag} is for {kind.usage}, not for {chosen}")


def _check_args(job: Job) -> None:
    """Finds the commonest mistakes before a machine is created for them."""
    given = _flags(job.args)
    config = given.get("config")
    if config is not None and not (job.root / config.split(":")[0]).is_file():
        path = config.split(":")[0]
        raise LaunchError(f"--config={config}: no file {path} in {job.root}")
    if not job.module.startswith("videogen."):
        return
    for name in _DIRECTORIES:
        if "://" in given.get(name, ""):
            raise LaunchError(
                f"--{name}={given[name]} is not a directory: mount the bucket on every "
                "worker and give the path (launch/README.md, Data)"
            )
    # A workdir may hold the config of its run, on machines that are not this one.
    if job.module == TRAIN and not given.keys() & {"config", "workdir"}:
        raise LaunchError(
            f"--config is missing: `-- --config=configs/NAME.py --workdir=DIR` for "
            f"{TRAIN}, or --workdir=DIR alone to go on with the run there"
        )


def _flags(args: Sequence[str]) -> dict[str, str]:
    """{name: value} of --name=value and --name value; a missing value is ""."""
    flags = {}
    for arg, following in itertools.pairwise([*args, ""]):
        name, equals, value = arg.partition("=")
        if arg.startswith("-"):
            flags[name.lstrip("-")] = value if equals else following
    return flags


if __name__ == "__main__":
    sys.exit(main())
