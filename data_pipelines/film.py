"""Encoded images as a film: their bytes in a container, which PyAV reads as any video."""

import fractions
import io
from collections.abc import Sequence

import av

FORMAT = "nut"  # holds PNG and JPEG alike, with exact times


def film(images: Sequence[bytes], fps: float) -> io.BytesIO:
    """PNGs or JPEGs of one kind, in order. May FFmpegError, or ValueError."""
    rate = fractions.Fraction(fps).limit_denominator(1001)
    made = io.BytesIO()
    with (
        av.open(io.BytesIO(images[0])) as first,
        av.open(made, "w", format=FORMAT) as container,
    ):
        if not first.streams.video:
            raise ValueError("the first image is none")
        stream = container.add_stream_from_template(first.streams.video[0])
        for number, image in enumerate(images):
            packet = av.Packet(image)
            packet.stream, packet.time_base = stream, 1 / rate
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            container.mux(packet)
    made.seek(0)
    return made
