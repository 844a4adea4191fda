"""What runs on each TPU VM worker, through ssh: `python3 worker.py setup|start|...`.

Copied there as a single file and run by the image's own Python, so: standard library
only, Python 3.8. Everything lives in ~/videogen_launch: code/ (replaced at each
setup), venv/, runs/ (kept; code/runs points to it), run/ (pid, log, exit_code).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

FOLDER = "videogen_launch"
SNAPSHOT, ENV_FILE = "snapshot.tar.gz", "env"
HOME = Path.home() / FOLDER
CODE, VENV, RUN = HOME / "code", HOME / "venv", HOME / "run"
PID, LOG, EXIT_CODE = RUN / "pid", RUN / "log", RUN / "exit_code"
MAX_BYTES = 1 << 20
VANISHED = 137
# Needs $LAUNCH_VENV/bin/python at its end. Runs in the shipped code's directory. Another
# command finds this one in $LAUNCH_SETUP.
DEFAULT_SETUP = """\
set -e
python=python3.11
for name in python3.13 python3.12 python3.11; do
  if command -v $name >/dev/null; then python=$name; break; fi
done
if ! $python -c 'import ensurepip' 2>/dev/null; then
  sudo apt-get -o DPkg::Lock::Timeout=300 update -qq
  sudo apt-get -o DPkg::Lock::Timeout=300 install -y -qq $python $python-venv
fi
[ -x "$LAUNCH_VENV/bin/python" ] || $python -m venv "$LAUNCH_VENV"
"$LAUNCH_VENV/bin/python" -m pip install -q \
  -c requirements.lock -c requirements-tpu.lock '.[tpu]'
"$LAUNCH_VENV/bin/python" -m pip install -q --no-deps -r requirements-nodeps.lock
"""


def setup(command: str = DEFAULT_SETUP) -> int:
    """Unpacks the snapshot in place of the old code and runs the setup command."""
    _refuse_if_running()
    fresh = HOME / "code.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    subprocess.check_call(["tar", "-xzf", str(HOME / SNAPSHOT), "-C", str(fresh)])
    shutil.rmtree(CODE, ignore_errors=True)
    fresh.rename(CODE)
    (HOME / "runs").mkdir(exist_ok=True)
    if not (CODE / "runs").exists():
        (CODE / "runs").symlink_to(HOME / "runs")
    environment = {
        **os.environ,
        "LAUNCH_VENV": str(VENV),
        "LAUNCH_SETUP": DEFAULT_SETUP,
    }
    return subprocess.call(["bash", "-c", command], cwd=CODE, env=environment)


def start(module: str, *args: str) -> int:
    """Starts the module detached from this ssh session."""
    _refuse_if_running()
    environment = {**os.environ, **_take_environment(), "PYTHONUNBUFFERED": "1"}
    previous = HOME / "run.previous"
    shutil.rmtree(previous, ignore_errors=True)
    if RUN.exists():
        RUN.rename(previous)
    RUN.mkdir()
    with open(LOG, "wb") as log:
        process = subprocess.Popen(
            [sys.executable, __file__, "supervise", module, *args],
            cwd=CODE,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    PID.write_text(str(process.pid))
    return 0


def supervise(module: str, *args: str) -> int:
    """Runs the module and records its exit code; outlives its SIGTERM to do so."""
    signal.signal(signal.SIGTERM, lambda *_: None)
    code = subprocess.call([str(VENV / "bin" / "python"), "-m", module, *args])
    _record(128 - code if code < 0 else code)
    return 0


def poll(offset: str, wait_s: str) -> int:
    """Prints one JSON line: the log from byte `offset`, and the exit code at its end.

    Waits for news up to `wait_s`. Asking again with the same offset is harmless.
    """
    begin, deadline = int(offset), time.monotonic() + float(wait_s)
    while True:
        code = _exit_code()  # before the log: what is read after it is complete
        size = LOG.stat().st_size if LOG.exists() else 0
        if size > begin or code is not None or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    data = b""
    if size > begin:
        with open(LOG, "rb") as log:
            log.seek(begin)
            data = log.read(MAX_BYTES)
        if code is None or len(data) == MAX_BYTES:  # whole lines while more may come
            data = data[: data.rfind(b"\n") + 1] or data
    end = begin + len(data)
    answer = {"text": data.decode(errors="replace"), "offset": end}
    answer["exit_code"] = code if end >= size else None
    print(json.dumps(answer))
    return 0


def stop(grace_s: str) -> int:
    """SIGTERM to the job, SIGKILL after the grace period."""
    if _running():
        group = int(PID.read_text())
        os.killpg(group, signal.SIGTERM)
        deadline = time.monotonic() + float(grace_s)
        while _running() and time.monotonic() < deadline:
            time.sleep(0.1)
        if _running():
            os.killpg(group, signal.SIGKILL)
            _record(VANISHED)
    return status()


def status() -> int:
    """Prints one line about the job."""
    code = _exit_code()
    if not PID.exists():
        state = "no job was started"
    elif code is None:
        state = f"running, pid {PID.read_text()}, log {LOG.stat().st_size} bytes"
    else:
        state = f"ended with exit code {code}"
    print(f"{os.uname().nodename}: {state}")
    return 0


def _refuse_if_running() -> None:
    if _running():
        pid = PID.read_text()
        sys.exit(
            f"{os.uname().nodename}: a job runs already (pid {pid}); stop it first"
        )


def _running() -> bool:
    """Whether the supervisor lives; a zombie does not."""
    try:
        stat = Path("/proc", PID.read_text(), "stat").read_text()
    except OSError:
        return False
    return stat.rpartition(") ")[2][0] not in "ZX"


def _exit_code() -> int | None:
    """None while it runs; 137 if it is gone without a word."""
    running = _running()  # first: it records the code before it ends
    if EXIT_CODE.exists():
        return int(EXIT_CODE.read_text())
    return VANISHED if PID.exists() and not running else None


def _record(code: int) -> None:
    fresh = EXIT_CODE.with_suffix(".new")
    fresh.write_text(str(code))
    fresh.rename(EXIT_CODE)


def _take_environment() -> dict[str, str]:
    """Reads the shipped KEY=VALUE file and removes it: secrets do not stay on disk."""
    path = HOME / ENV_FILE
    if not path.exists():
        return {}
    lines = path.read_text().splitlines()
    path.unlink()
    return dict(line.split("=", 1) for line in lines)


COMMANDS = {f.__name__: f for f in (setup, start, supervise, poll, stop, status)}

if __name__ == "__main__":
    sys.exit(COMMANDS[sys.argv[1]](*sys.argv[2:]))
