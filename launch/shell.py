"""Runs commands and shows every one of them; a dry run only shows."""

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from launch.target import LaunchError


@dataclass(frozen=True, kw_only=True)
class Shell:
    """`dry`: print the commands, quoted for a shell, and run none."""

    dry: bool = False

    def check(self, argv: Sequence[str]) -> None:
        """Runs with output to the terminal; LaunchError if it fails."""
        code = self.run(argv).returncode
        if code:
            raise LaunchError(f"exit code {code} from: {shlex.join(argv)}")

    def run(
        self,
        argv: Sequence[str],
        *,
        capture: bool = False,
        timeout_s: float | None = None,
        show: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs and returns; a missing program is a LaunchError. Dry: a success."""
        if show:
            print("+", shlex.join(argv), flush=True)
        if self.dry:
            return subprocess.CompletedProcess(argv, 0, "", "")
        if shutil.which(argv[0]) is None:
            raise LaunchError(f"{argv[0]} is not on PATH: install the Google Cloud CLI")
        pipe = subprocess.PIPE if capture else None
        # An own process group: Ctrl-C is for this program to handle, in its order.
        with subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                _end(process)
                out, err = process.communicate()
            except BaseException:
                _end(process)
                raise
        return subprocess.CompletedProcess(
            argv, process.returncode, out or "", err or ""
        )


def _end(process: subprocess.Popen[str]) -> None:
    """The whole group: gcloud starts ssh."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
