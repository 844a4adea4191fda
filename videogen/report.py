"""`videogen report`: one self-contained HTML page about a workdir.

videogen report --workdir=runs/a [--out=FILE]
"""

from pathlib import Path

from absl import flags

from videogen import door
from videogen.core.errors import ConfigError

WORKDIR = door.define_workdir()
flags.adopt_module_key_flags(door)  # --help shows them
OUT = flags.DEFINE_string("out", None, "The page; by default <workdir>/report.html.")


def main() -> None:
    """Writes the page and says where it is."""
    try:
        from videogen.eval.report import write_report
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the report needs {error.name}: pip install 'videogen[eval]'"
        ) from error
    out = write_report(Path(WORKDIR.value), Path(OUT.value) if OUT.value else None)
    print(f"report: {out} ({out.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    door.run(main)
