"""`videogen <door> ...`: one front door. Each door is also `python -m <module>`."""

import runpy
import sys

from videogen.core.errors import suggest

DOORS = {
    "train": ("videogen.train", "train, resume, validate and sample from a config"),
    "sample": ("videogen.sample", "captions -> mp4s, by a trained workdir"),
    "models": ("videogen.models", "published models: sizes, tokens, FLOPs"),
    "convert": ("videogen.convert", "released weights <-> ours"),
    "inspect": ("videogen.inspect_data", "inspect data DIR: what a dataset holds"),
    "plan": ("videogen.plan", "mesh, remat policy and microbatches for so many chips"),
    "aot": ("videogen.aot", "a training step compiled for a TPU pod that is not there"),
    "report": ("videogen.report", "one self-contained HTML page about a workdir"),
    "data": ("data_pipelines", "videos -> latent shards (all, caption, add-text ...)"),
    "launch": ("launch", "run a door on local processes or a TPU VM"),
}


def main() -> None:
    """Runs the door named by the first argument with the rest."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help", "help"):
        print(usage())
        return
    name, *rest = sys.argv[1:]
    if name not in DOORS:
        print(f"error: no door {name!r}{suggest(name, DOORS)}", file=sys.stderr)
        print(usage(), file=sys.stderr)
        sys.exit(43)
    sys.argv = [f"videogen {name}", *rest]
    runpy.run_module(DOORS[name][0], run_name="__main__", alter_sys=True)


def usage() -> str:
    """The doors, a line each."""
    lines = [f"  {name:<8}{text}" for name, (_, text) in DOORS.items()]
    return "\n".join(["usage: videogen <door> [--help | flags]", *lines, "", EXAMPLE])


EXAMPLE = (
    "  videogen train --config=configs/quickstart.py --workdir=runs/a "
    "--config.model.width=256"
)

if __name__ == "__main__":
    main()
