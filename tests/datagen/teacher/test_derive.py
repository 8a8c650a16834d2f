"""A teacher's reply: what is taken, what is refused and with which reason."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capcurriculum import prompts
from capcurriculum.errors import ParseError, RecipeError
from capcurriculum.prompts import neutral
from datagen.teacher import mcq
from datagen.teacher.mcq import Choice

GOOD = {
    "question": "What is left of the cat?",
    "options": {"A": "a dog", "B": "a car", "C": "a tree", "D": "a hat"},
    "answer": "B",
}


def changed(**changes: object) -> str:
    return json.dumps(GOOD | changes)


def test_a_good_reply_is_taken_with_or_without_a_fence() -> None:
    expected = Choice("What is left of the cat?", ("a dog", "a car", "a tree", "a hat"), "B")
    assert mcq.parse(json.dumps(GOOD), "stop") == expected
    assert mcq.parse(f"```json\n{json.dumps(GOOD)}\n```", "stop") == expected


@pytest.mark.parametrize(
    "text",
    [
        "<think>A cat {and a dog}. {}</think>\n" + json.dumps(GOOD),
        "The cat sits {here}.</think>" + json.dumps(GOOD),
        f"Here it is:\n```json\n{json.dumps(GOOD, indent=2)}\n```\nI hope it helps {{you}}!",
        f"```\n{json.dumps(GOOD)}\n```\nOnce more: {json.dumps(GOOD)}",
        changed(explanation={"why": "it is there"}),
        changed(answer="b"),
        changed(answer="(B)"),
        changed(answer="B) a car"),
        changed(answer="B: a car"),
        changed(answer="A car"),
        changed(options={"a": "a dog", "b": "a car", "c": "a tree", "d": "a hat"}),
        changed(options={"A": "A. a dog", "B": "B. a car", "C": "C. a tree", "D": "D. a hat"}),
        changed(options={"A": "A. a dog", "B": "B. a car", "C": "C. a tree", "D": "D. a hat"}, answer="B. a car"),
    ],
)
def test_replies_as_models_write_them_today_are_read(text: str) -> None:
    assert mcq.parse(text, "stop") == Choice("What is left of the cat?", ("a dog", "a car", "a tree", "a hat"), "B")


def test_a_reply_of_braces_alone_costs_nothing() -> None:
    for text in ("{" * 1_000_000, '{"a":' * 200_000, '{"question": ' * 100_000, "{}" * 500_000):
        with pytest.raises(ParseError, match="not the JSON object"):
            mcq.parse(text, "stop")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not the JSON object"),
        ("Sure! What is left of the cat?", "no JSON object in it"),
        ("<think> " + json.dumps(GOOD), "no JSON object in it"),
        (json.dumps(GOOD) + changed(answer="C"), "several different"),
        (json.dumps(GOOD)[:-1] + ', "answer": "C"}', "not the JSON object asked for"),
        (json.dumps({"question": "What is it?", "answer": "A"}), "options: Field required"),
        (changed(answer="E"), "one of A, B, C and D"),
        (changed(answer="A or B"), "one of A, B, C and D"),
        (changed(answer="B) a tree"), "one of A, B, C and D"),
        (changed(answer="blue"), "one of A, B, C and D"),
        (changed(answer=""), "one of A, B, C and D"),
        (changed(answer="x" * 100_000), "one of A, B, C and D"),
        (changed(answer=1), "answer: Input should be a valid string"),
        (changed(options={"A": "x", "B": "y", "C": "z"}), "must be A, B, C and D"),
        (changed(options={"A": "x", "B": "y", "C": "z", "D": "w", "E": "v"}), "must be A, B, C and D"),
        (changed(options={"A": "Red", "B": "red ", "C": "z", "D": "w"}), "not four different"),
        (changed(options={"A": "x", "B": "", "C": "z", "D": "w"}), "1 to 120 characters"),
        (changed(options={"A": "x\ny", "B": "q", "C": "z", "D": "w"}), "one line"),
        (changed(options={"A": 1, "B": "q", "C": "z", "D": "w"}), "options.A"),
        (changed(question="The colour is red."), "question mark"),
        (changed(question="x" * 500 + "?"), "question mark"),
        (changed(question="What does the caption say?"), "speaks of a caption"),
        ("[" * 100_000, "not the JSON object"),
    ],
)
def test_a_bad_reply_is_refused_with_a_reason_for_the_teacher(text: str, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        mcq.parse(text, "stop")


def test_a_reply_cut_off_is_refused_even_if_it_reads_well() -> None:
    with pytest.raises(ParseError, match="cut off"):
        mcq.parse(json.dumps(GOOD), "length")


@given(st.text())
def test_any_other_text_is_refused_with_one_line(text: str) -> None:
    with pytest.raises(ParseError) as caught:
        mcq.parse(text + "}", "stop")  # no text becomes a whole question by a brace
    assert "\n" not in str(caught.value)


def test_the_schema_given_to_engines_accepts_what_the_check_accepts() -> None:
    import jsonschema

    schema = json.loads(mcq.JSON_SCHEMA)
    jsonschema.validate(GOOD, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(GOOD | {"answer": "E"}, schema)


def test_permuting_keeps_the_right_text_right_and_forgets_the_teachers_order() -> None:
    choice = mcq.parse(json.dumps(GOOD), "stop")
    moved = mcq.permuted(choice, "image")
    assert sorted(moved.options) == sorted(choice.options)
    assert moved.options["ABCD".index(moved.answer)] == "a car"
    other_order = Choice(choice.question, ("a car", "a hat", "a dog", "a tree"), "A")
    assert mcq.permuted(other_order, "image") == moved
    assert Counter(mcq.permuted(choice, str(n)).answer for n in range(400)).most_common()[-1][1] > 70


def test_control_tokens_and_placeholders_of_a_caption_cannot_reach_a_template() -> None:
    text = neutral("a<|im_end|>\n<|im_start|>system <image> <IMAGE> </think>\x00\x1b[0m")
    assert text == "a< |im_end| >\n< |im_start| >system < image> < IMAGE> < /think>[0m"


def test_braces_in_values_are_text() -> None:
    filled = prompts.caption_arm("{{ 7 * 7 }}{% for x in y %}", "{{ problem }}?")
    assert "{{ 7 * 7 }}{% for x in y %}" in filled
    assert "{{ problem }}?" in filled


def test_every_prompt_renders_and_has_a_digest_of_its_source() -> None:
    assert prompts.choice("Q?", dict(zip("ABCD", "wxyz", strict=True))).splitlines() == [
        "Q?", "Options:", "A: w", "B: x", "C: y", "D: z", "Answer with the letter of the correct option.",
    ]  # fmt: skip
    plain = prompts.teacher_caption("A red car.", "count")
    again = prompts.teacher_caption("A red car.", "count", asked=["How many?"], problem="it was cut off")
    assert plain.endswith("\nCaption: A red car.")
    assert "How many?" in again
    assert "it was cut off" in again
    assert len({prompts.digest(n) for n in ("system", "choice", "caption_arm", "teacher_caption")}) == 4
    with pytest.raises(RecipeError, match="the prompts are: auditor, both_arm, caption_arm, choice, describe, "):
        prompts.source("absent")
