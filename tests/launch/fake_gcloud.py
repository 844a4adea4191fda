"""A stand-in for `gcloud compute tpus tpu-vm` that really runs the commands, locally.

Strict about flags (tables from the synopses of Google Cloud SDK 528), keeps its nodes
on disk in $FAKE_GCLOUD, logs every argv. Each worker is a home directory: `scp` copies
into it, `ssh` runs `bash -c` there with a clean environment, `delete` ends whatever
still runs there. $FAKE_GCLOUD/faults.json: {"ssh": [0, 255, ...]} makes the n-th call
of a verb fail.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(os.environ["FAKE_GCLOUD"])
WIDE = {"--project": True, "--format": True, "--quiet": False, "--verbosity": True}
# Flag -> whether it takes a value.
FLAGS = {
    "create": {
        "--zone": True,
        "--version": True,
        "--accelerator-type": True,
        "--spot": False,
        "--preemptible": False,
        "--network": True,
        "--labels": True,
        "--async": False,
    },
    "describe": {"--zone": True},
    "delete": {"--zone": True, "--async": False},
    "ssh": {"--zone": True, "--worker": True, "--command": True, "--plain": False},
    "scp": {"--zone": True, "--worker": True, "--recurse": False, "--plain": False},
}
REQUIRED = {"create": {"--zone", "--version"}}
CHIPS_PER_WORKER = 4


def fail(message: str, code: int = 2) -> int:
    print(f"ERROR: (gcloud.compute.tpus.tpu-vm) {message}", file=sys.stderr)
    return code


def parse(verb: str, argv: list[str]) -> tuple[list[str], dict[str, str]]:
    table = {**WIDE, **FLAGS[verb]}
    positional, flags = [], {}
    for arg in argv:
        name, equals, value = arg.partition("=")
        if not arg.startswith("-"):
            positional.append(arg)
        elif name not in table or bool(equals) != table[name]:
            raise ValueError(f"unrecognized arguments: {arg}")
        else:
            flags[name] = value
    missing = REQUIRED.get(verb, {"--zone"}) - set(flags)
    if missing:
        raise ValueError(f"argument {min(missing)}: Must be specified.")
    return positional, flags


def node_folder(name: str) -> Path:
    return ROOT / "nodes" / name


def read_node(name: str) -> dict:
    return json.loads((node_folder(name) / "node.json").read_text())


def create(positional: list[str], flags: dict[str, str]) -> int:
    (name,) = positional
    if node_folder(name).exists():
        return fail(f"ALREADY_EXISTS: {name}", 1)
    chips = int(re.fullmatch(r"v\w+-(\d+)", flags["--accelerator-type"])[1])
    for index in range(max(1, chips // CHIPS_PER_WORKER)):
        (node_folder(name) / f"worker_{index}").mkdir(parents=True)
    workers = len(list(node_folder(name).iterdir()))
    node = {
        "state": "READY",
        "networkEndpoints": [{"ipAddress": f"10.0.0.{i}"} for i in range(workers)],
        "schedulingConfig": {"spot": "--spot" in flags},
    }
    (node_folder(name) / "node.json").write_text(json.dumps(node))
    return 0


def describe(positional: list[str], flags: dict[str, str]) -> int:
    (name,) = positional
    if not node_folder(name).exists():
        return fail(f"NOT_FOUND: Resource 'nodes/{name}' was not found", 1)
    assert flags["--format"] == "json"
    print(json.dumps(read_node(name)))
    return 0


def delete(positional: list[str], _flags: dict[str, str]) -> int:
    (name,) = positional
    if not node_folder(name).exists():
        return fail(f"NOT_FOUND: Resource 'nodes/{name}' was not found", 1)
    for pid in processes_of(node_folder(name)):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(node_folder(name))
    return 0


def processes_of(folder: Path) -> list[int]:
    """Processes whose HOME lies in the folder, as a machine's end would end them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            entries = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(entry.startswith(f"HOME={folder}/".encode()) for entry in entries):
            found.append(int(path.parent.name))
    return found


def homes(name: str, worker: str) -> list[Path]:
    count = len(read_node(name)["networkEndpoints"])
    indices = range(count) if worker == "all" else [int(w) for w in worker.split(",")]
    return [node_folder(name) / f"worker_{index}" for index in indices]


def ssh(positional: list[str], flags: dict[str, str]) -> int:
    (name,) = positional
    running = [
        subprocess.Popen(
            # gcloud splits the command at spaces and ssh joins it again.
            ["bash", "-c", " ".join(flags["--command"].split(" "))],
            cwd=home,
            env={
                "HOME": str(home),
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                # Stands for what a worker learns from the metadata server.
                "TPU_WORKER_ID": home.name.removeprefix("worker_"),
            },
            stdin=subprocess.DEVNULL,
        )
        for home in homes(name, flags.get("--worker", "0"))
    ]
    return next((code for code in [p.wait() for p in running] if code), 0)


def scp(positional: list[str], flags: dict[str, str]) -> int:
    *sources, destination = positional
    name, _, folder = destination.partition(":")
    for home in homes(name, flags.get("--worker", "0")):
        for source in sources:
            if not (home / folder).is_dir():
                return fail(f"scp: {folder}: No such file or directory", 1)
            shutil.copy(source, home / folder)
    return 0


def injected_fault(verb: str) -> int:
    faults_file = ROOT / "faults.json"
    faults = json.loads(faults_file.read_text()) if faults_file.exists() else {}
    code = faults[verb].pop(0) if faults.get(verb) else 0
    if faults:
        faults_file.write_text(json.dumps(faults))
    return code


def main(argv: list[str]) -> int:
    with open(ROOT / "argv.jsonl", "a") as log:
        log.write(json.dumps(argv) + "\n")
    if argv[:3] != ["compute", "tpus", "tpu-vm"] or argv[3] not in FLAGS:
        return fail(f"Invalid choice: {argv[:4]}")
    verb = argv[3]
    try:
        positional, flags = parse(verb, argv[4:])
    except ValueError as error:
        return fail(str(error))
    if verb in ("ssh", "scp") and read_node_state(verb, positional) != "READY":
        return fail("the TPU is in an unusable state", 1)
    fault = injected_fault(verb)
    if fault:
        return fail(f"injected fault in {verb}", fault)
    return globals()[verb](positional, flags)


def read_node_state(verb: str, positional: list[str]) -> str:
    name = positional[-1].partition(":")[0] if verb == "scp" else positional[0]
    return read_node(name)["state"] if node_folder(name).exists() else "ABSENT"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
