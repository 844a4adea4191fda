"""`videogen sample --rewrite`: users' prompts in the style of the captions trained on."""

import dataclasses
import json
from pathlib import Path

from absl import flags

from videogen.build import Settings
from videogen.core.errors import ConfigError
from videogen.data.source import open_dataset
from videogen.feed import own_captions
from videogen.parallel import multihost
from videogen.text.chat.endpoint import Endpoint, key_in
from videogen.text.chat.replies import Replies
from videogen.text.chat.rewrite import rewrite

URL = flags.DEFINE_string(
    "rewrite",
    None,
    "OpenAI-compatible endpoint, up to /v1, that rewrites the prompts in the style of the "
    "training captions first; samples.json has both.",
)
MODEL = flags.DEFINE_string("rewrite_model", "", "The model of --rewrite.")
KEY = flags.DEFINE_string(
    "rewrite_key_env", "", "The environment variable that holds the endpoint's key."
)


def rewritten(
    settings: Settings, workdir: Path
) -> tuple[Settings, dict[str, object] | None]:
    """The settings with the prompts to sample, and what became of the user's.

    ConfigError when the endpoint is down, or rewrites a prompt to nothing of use.
    """
    if not URL.value:
        return settings, None
    prompts = settings.sample.prompts
    if not prompts:
        raise ConfigError(
            "--rewrite: without config.sample.prompts there is none to rewrite"
        )
    # One process asks: another's answer might differ.
    new = _ask(settings, workdir) if multihost.is_primary() else prompts
    new = tuple(json.loads(multihost.from_primary("rewrite", json.dumps(new))))
    sample = dataclasses.replace(settings.sample, prompts=new)
    facts: dict[str, object] = {
        "rewritten": {"model": MODEL.value, "prompts": list(prompts)}
    }
    return dataclasses.replace(settings, sample=sample), facts


def _ask(settings: Settings, workdir: Path) -> tuple[str, ...]:
    endpoint = Endpoint(
        url=URL.value or "",
        model=MODEL.value,
        attempts=4,
        api_key=key_in(KEY.value),
    )
    dataset = open_dataset(settings.data.path)
    examples = own_captions(dataset, settings.data.text_version)
    replies = Replies(workdir / "rewritten.sqlite")
    try:
        return rewrite(settings.sample.prompts, examples, endpoint, replies)
    finally:
        replies.close()
