"""Is a reply what was asked for? Models think aloud, apologise, and talk without end."""

import re

from videogen.text.chat.endpoint import Reply, Unanswered

MOST_CHARACTERS = 4000
_THOUGHTS = re.compile(r"^.*?</think>", re.DOTALL)
_REFUSAL = re.compile(
    r"^(i'm |i am |we're |we are )?(very |so |truly )?(sorry|unable to|afraid)\b"
    r"|^(i|we) (can't|cannot|can not|won't|am not able|do not see|don't see)\b"
    r"|^as an ai\b|^unfortunately, (i|we)\b",
    re.IGNORECASE,
)


def usable(reply: Reply, most_characters: int = MOST_CHARACTERS) -> str:
    """The text in one line. Raises Unanswered: EMPTY, REFUSAL or TOO_LONG."""
    if reply.cut:
        raise Unanswered("TOO_LONG", f"cut off: {reply.text[:80]!r}")
    text = " ".join(_THOUGHTS.sub("", reply.text).split())
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].strip()
    if not any(character.isalnum() for character in text):
        raise Unanswered("EMPTY", repr(reply.text[:80]))
    if _REFUSAL.match(text.replace("\u2019", "'")):
        raise Unanswered("REFUSAL", repr(text[:80]))
    if len(text) > most_characters:
        raise Unanswered("TOO_LONG", f"{len(text)} characters: {text[:80]!r}")
    return text
