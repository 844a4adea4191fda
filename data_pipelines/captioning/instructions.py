"""What a captioner is asked, for each kind of caption. The text is part of a reply's key."""

import hashlib

SHOWN = {
    "images": "These images are {frames} frames of one video clip, evenly spaced, in order.",
    "video": "This is a video clip, of {frames} frames.",
}

INSTRUCTIONS = {
    "dense": """\
Describe the clip in one paragraph of plain English, dense in time: from the first moment to
the last, say what is there, what it looks like, what each thing does and how that changes, in
the order in which it happens. Name subjects, their appearance, actions and speed, the place,
the light, the colours, the style (photographic, animated, drawn, ...), and text that can be
read. End with one sentence on the camera: how far away and how high it is, and how it moves
(static, pan, tilt, zoom, dolly, tracking, orbit, hand-held), in which direction and how fast.
Describe only what can be seen. Do not speak of frames, images or clips, do not guess what
happens before or after, give no opinion, and answer with the paragraph alone.""",
    "short": """
Say in one plain English sentence of at most 20 words what happens in the clip: who or what does
what, where. If the camera moves, say how. Describe only what can be seen. Answer with the
sentence alone.""",
    "camera": """
Say in one plain English sentence how the camera of the clip is placed and how it moves: shot
size, height, static, pan, tilt, zoom, dolly, tracking, orbit or hand-held, direction and speed.
Answer with the sentence alone.""",
}


def instructions(kind: str, send: str, frames: int) -> str:
    """The text that goes with so many frames, sent as `SHOWN` says."""
    return f"{SHOWN[send].format(frames=frames)}\n{INSTRUCTIONS[kind]}"


def instructions_sha256(kind: str) -> str:
    """What `CaptionInfo.origin` records."""
    return hashlib.sha256(INSTRUCTIONS[kind].encode()).hexdigest()
