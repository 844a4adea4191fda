"""Collectives between slices: libtpu hands them to the hosts as sends and receives.

A device sends its part as soon as it has it; the host's runtime combines the parts over the
data centre's network, and the device waits where it needs what it receives.
"""

import re
from collections.abc import Iterator, Sequence

from videogen.cost import collectives
from videogen.cost.collectives import Collective
from videogen.cost.hlo import Instruction
from videogen.cost.pod import Pod

_RENDEZVOUS = re.compile(r'_xla_host_transfer_rendezvous="([^"]+)"')
_KIND = re.compile(r'_xla_megascale_transfer_type="([A-Z_]+)"')
_RECEIVE = re.compile(r"recv-done\(%?([\w.\-]+)\)")


def events(
    computation: Sequence[Instruction], pod: Pod
) -> Iterator[tuple[str, tuple[str, Collective]]]:
    """(instruction's name, ("begin" or "end", collective)), in the order of the schedule."""
    places = {x.name: _RENDEZVOUS.search(x.text) for x in computation}
    sent = {
        place[1]: _read(x, pod)
        for x in computation
        if x.opcode == "send" and (place := places[x.name])
    }
    for instruction in computation:
        place = places[instruction.name]
        if instruction.opcode == "send" and place:
            yield instruction.name, ("begin", sent[place[1]])
        elif found := _RECEIVE.search(instruction.text):
            if place := places.get(found[1]):
                yield instruction.name, ("end", sent[place[1]])


def _read(send: Instruction, pod: Pod) -> Collective:
    """What all slices exchange where this one sends."""
    kind = _KIND.search(send.text)
    assert kind is not None, send.name
    name = kind[1].lower().replace("_", "-")
    group = pod.across_slices
    parts = len(group) if name == "all-gather" else 1
    return Collective(
        kind=name,
        group=group,
        num_bytes=parts * collectives.num_bytes(send.text),
        channel=f"{send.name} between slices",
        op_name="",
    )
