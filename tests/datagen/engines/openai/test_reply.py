"""What an endpoint's body is read as: texts in parts, and why there is no text."""

import json
from typing import Any

import pytest

from datagen.engines.openai.reply import ONLY_THOUGHTS, Kind, NoReply, parse


def body(content: Any, finish: Any = "stop", **message: Any) -> bytes:
    choice = {"message": {"role": "assistant", "content": content} | message, "finish_reason": finish}
    return json.dumps({"choices": [choice]}).encode()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("B", "B"),
        ([{"type": "text", "text": "B"}], "B"),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "It is "}, {"text": "B"}], "It is B"),
        ([], ""),
    ],
)  # fmt: skip
def test_a_text_may_come_in_parts(content: Any, text: str) -> None:
    (completion,) = parse(body(content)).completions
    assert completion.text == text


@pytest.mark.parametrize(
    ("message", "finish", "why"),
    [
        ({"reasoning": "hm"}, "stop", ONLY_THOUGHTS),
        ({"refusal": "I cannot help with that."}, "stop", "the model refused: I cannot help with that."),
        ({"tool_calls": [{"id": "1"}]}, "tool_calls", "the model called a tool and said nothing"),
        ({}, "content_filter", "the endpoint's content filter stopped the reply"),
        ({}, "length", ""),
    ],
)
def test_a_reply_without_text_says_why(message: dict[str, Any], finish: str, why: str) -> None:
    (completion,) = parse(body(None, finish, **message)).completions
    assert (completion.text, completion.silence) == ("", why)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"error": {"message": "Provider returned error: quota", "code": 402}}, "Provider returned error: quota"),
        ({"error": "model requires more system memory"}, "model requires more system memory"),
        ({"error": {"code": 7}}, '"code": 7'),
    ],
)
def test_an_error_in_a_good_status_is_said_in_its_own_words(said: dict[str, Any], words: str) -> None:
    with pytest.raises(NoReply, match=words) as caught:
        parse(json.dumps(said).encode())
    assert caught.value.kind is Kind.BROKEN


@pytest.mark.parametrize("content", [3, {"text": "B"}, ["B"], [{"type": "text", "text": None}]])
def test_what_is_no_text_is_no_reply(content: Any) -> None:
    with pytest.raises(NoReply, match="holds no completion"):
        parse(body(content))
