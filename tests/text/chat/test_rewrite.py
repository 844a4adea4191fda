"""Prompts in the style of the captions: asked once, or one clear error."""

import pytest
from fake_endpoint import MODEL, said

from videogen.core.errors import ConfigError
from videogen.text.chat.endpoint import Endpoint
from videogen.text.chat.replies import Replies
from videogen.text.chat.rewrite import rewrite

EXAMPLES = ("red waves moving left", "", "blue waves moving up")


@pytest.fixture
def replies(tmp_path):
    opened = Replies(tmp_path / "replies.sqlite")
    yield opened
    opened.close()


def rewritten(fake, replies, *prompts):
    endpoint = Endpoint(url=fake.url, model=MODEL, attempts=1)
    return rewrite(prompts, EXAMPLES, endpoint, replies)


def test_the_model_sees_prompt_and_examples_and_is_asked_once(fake, replies):
    fake.answer = lambda body, n: said(f"caption {n}")
    once = rewritten(fake, replies, "waves!", "a {brace}")
    assert once == ("caption 0", "caption 1")
    assert rewritten(fake, replies, "a {brace}", "waves!") == once[::-1]
    question = fake.asked[0]["messages"][0]["content"]
    for part in ("Wish: waves!", "- red waves moving left\n- blue waves moving up\n"):
        assert part in question
    assert len(fake.asked) == 2


@pytest.mark.parametrize("answer", [said(""), said("Sorry, no."), (500, {}, b"")])
def test_a_prompt_that_is_not_rewritten_is_an_error(fake, replies, answer):
    fake.answer = lambda body, n: answer
    with pytest.raises(
        ConfigError, match="prompt 'waves' was not rewritten by tiny-vision"
    ):
        rewritten(fake, replies, "waves")
