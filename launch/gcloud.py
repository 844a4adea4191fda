"""The `gcloud compute tpus tpu-vm` command lines, and nothing else: pure functions.

Flags as Google Cloud SDK 528 parses them (GA track). Not used: `ssh
--output-directory`, whose path that release drops.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Node:
    """Which TPU VM."""

    name: str
    zone: str
    project: str | None = None


def create(
    node: Node, *, accelerator_type: str, version: str, spot: bool
) -> tuple[str, ...]:
    spec = (f"--accelerator-type={accelerator_type}", f"--version={version}")
    return _command(
        "create", node.name, *spec, *(["--spot"] if spot else []), node=node
    )


def describe(node: Node) -> tuple[str, ...]:
    return _command("describe", node.name, "--format=json", node=node)


def delete(node: Node) -> tuple[str, ...]:
    return _command("delete", node.name, node=node)


def ssh(node: Node, worker: str, command: str) -> tuple[str, ...]:
    """`worker`: an index, or "all". `command` is one line for the login shell there."""
    where = (node.name, f"--worker={worker}")
    return _command("ssh", *where, f"--command={command}", node=node)


def scp(node: Node, sources: list[str], folder: str) -> tuple[str, ...]:
    """Copies local files into a folder of the home directory, on all workers."""
    where = (f"{node.name}:{folder}/", "--worker=all")
    return _command("scp", *sources, *where, node=node)


def _command(verb: str, *rest: str, node: Node) -> tuple[str, ...]:
    project = [f"--project={node.project}"] if node.project else []
    common = (f"--zone={node.zone}", *project, "--quiet")
    return ("gcloud", "compute", "tpus", "tpu-vm", verb, *rest, *common)
