"""A user's prompt in the words of the training captions: what the network was told then."""

from collections.abc import Sequence

from videogen.core.errors import ConfigError
from videogen.text.chat.endpoint import Endpoint, Unanswered
from videogen.text.chat.replies import Replies, key_of
from videogen.text.chat.usable import usable

INSTRUCTIONS = """\
A model makes videos from captions. Below are captions that it was trained with, then the wish
of a user. Write the caption of the video that the user wishes for, as if it were one more of
these: of the same length, style and order of things. Keep everything that the user says, add
nothing that contradicts it, and answer with the caption alone.

Captions:
{examples}

Wish: {prompt}"""


def rewrite(
    prompts: Sequence[str],
    examples: Sequence[str],
    endpoint: Endpoint,
    replies: Replies,
) -> tuple[str, ...]:
    """Each prompt as a caption like `examples`. ConfigError when one cannot be had."""
    shown = "\n".join(f"- {example}" for example in examples if example)
    return tuple(_rewritten(prompt, shown, endpoint, replies) for prompt in prompts)


def _rewritten(prompt: str, shown: str, endpoint: Endpoint, replies: Replies) -> str:
    question = INSTRUCTIONS.format(examples=shown, prompt=prompt)
    key = key_of("rewrite", endpoint.model, question)
    try:
        reply = replies.get(key)
        if reply is None:
            endpoint.check()
            reply = endpoint.ask(question)
            replies.put(key, reply)
        return usable(reply)
    except Unanswered as error:
        raise ConfigError(
            f"prompt {prompt!r} was not rewritten by {endpoint.model} at {endpoint.url}: "
            f"{error}; sample without --rewrite, or use another model"
        ) from error
