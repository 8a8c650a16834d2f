"""The reward pays a right answer and a well-formed reply, and nothing else, however odd the text."""

import json
import subprocess
import sys

import numpy
import pytest

from capcurriculum.answers import grade
from training.reward import compute_score, compute_scores, well_formed

OPTIONS = {"options": ["a red car", "a dog", "two", "none"]}


def score(text: str, gold: str = "B", extra: dict[str, object] | None = None, **kw: float) -> dict[str, float | str]:
    return compute_score("capcurriculum/perception", text, gold, OPTIONS if extra is None else extra, **kw)


@pytest.mark.parametrize(
    ("text", "expected", "outcome"),
    [
        (r"<think>I see it.</think> \boxed{B}", 1.0, "right"),
        (r"  <think> I see it. </think>so \boxed{a dog}  ", 1.0, "right"),
        (r"<think>I see it.</think> \boxed{A}", 0.1, "wrong"),
        (r"\boxed{B}", 0.9, "right"),
        (r"<think></think> \boxed{B}", 0.9, "right"),
        (r"<think>  </think> \boxed{B}", 0.9, "right"),
        (r"<thinking>I see it.</thinking> \boxed{B}", 0.9, "right"),
        (r"<think>a</think><think>b</think> \boxed{B}", 0.9, "right"),
        (r"<think>surely \boxed{B}</think> it depends", 0.0, "unparsed"),
        (r"<think>I see it.</think> \boxed{}", 0.0, "unparsed"),
        (r"<think>I see it.</think> The answer depends on the light.", 0.0, "unparsed"),
        ("", 0.0, "unparsed"),
    ],
)
def test_scores(text: str, expected: float, outcome: str) -> None:
    result = score(text)
    assert result["score"] == pytest.approx(expected)
    assert result["outcome"] == outcome
    assert set(result) == {"score", "accuracy", "format", "outcome", "answer", "question_id"}


def test_weights_come_from_the_recipe() -> None:
    assert score(r"\boxed{B}", accuracy_weight=0.5, format_weight=0.5)["score"] == 0.5


def test_free_answers_have_no_options() -> None:
    for extra in ({}, {"options": []}, {"options": numpy.array([])}, {"options": None}):
        assert compute_score("t", r"<think>12</think> \boxed{12}", "12", extra)["score"] == pytest.approx(1.0)
    assert compute_score("t", r"<think>12</think> \boxed{12}", "12", None)["score"] == pytest.approx(1.0)


def test_options_as_verl_hands_them_over() -> None:
    extra = {"options": numpy.array(OPTIONS["options"], dtype=object), "index": 3, "num_turns": None}
    assert compute_score("p", r"<think>x</think> \boxed{B}", "B", extra)["accuracy"] == 1.0


def test_accuracy_is_the_grading_of_the_pass_rate() -> None:
    texts = [r"\boxed{B}", "Answer: B", "a dog", "It is a dog", r"\boxed{\text{B}}", "(b)", r"\boxed{C}"]
    for text in texts:
        graded = grade(text, "B", OPTIONS["options"])
        result = score(text)
        assert (result["outcome"], result["answer"]) == (graded.outcome.value, graded.answer)
        assert result["accuracy"] == (graded.outcome.value == "right")


THOUGHT = "<think>t</think> "
#: name -> a reply to the question whose right option is B, "a dog"; none of them may be paid for accuracy.
ADVERSARIAL = {
    "power tower": THOUGHT + r"\boxed{9^{9^{9^{9}}}}",
    "nested braces around the letter": THOUGHT + r"\boxed{" + "{" * 10_000 + "B" + "}" * 10_000 + "}",
    "nested braces, never closed": "<think>" + "{" * 10_000 + r"</think> \boxed{" + "{" * 10_000,
    "a megabyte": "x" * 1_000_000,
    "a megabyte in the box": THOUGHT + r"\boxed{" + "B " * 500_000 + "}",
    "a megabyte of statements": "the answer is " * 70_000,
    "a megabyte of beginnings": "so the final " * 75_000,
    "a megabyte of boxes": r"\boxed" * 160_000,
    "a megabyte of thoughts": "<think>" * 140_000,
    "a megabyte of ends": "</think>" * 120_000,
    "many boxes": r"\boxed{A}" * 20_000,
    "many right boxes and a wrong one": r"\boxed{B}" * 20_000 + r"\boxed{A}",
    "a box of another letter after the right one": THOUGHT + r"\boxed{B} or rather \boxed{A}",
    "a box in the thinking": r"<think>surely \boxed{B}</think> it depends",
    "a box in a thinking that never ends": r"<think>surely \boxed{B}",
    "a box in a second thinking": r"<think>so</think> <think>\boxed{B}</think>",
    "the thinking ends in the box": r"<think>so</think> \boxed{</think>B}",
    "Cyrillic": THOUGHT + r"\boxed{В}",
    "Greek": THOUGHT + r"\boxed{Β}",
    "Cherokee": THOUGHT + r"\boxed{Ᏼ}",
    "bold": THOUGHT + r"\boxed{𝐁}",
    "circled": THOUGHT + r"\boxed{Ⓑ}",
    "wide and taken back": THOUGHT + r"\boxed{Ｂ and not B}",
    "a sign of no width": THOUGHT + "\\boxed{\u200bB}",
    "written backwards": THOUGHT + "\\boxed{\u202eB}",
    "struck out": THOUGHT + "\\boxed{B\u0336}",
    "two letters": THOUGHT + r"\boxed{A, B}",
    "two letters joined": THOUGHT + r"\boxed{B or A}",
    "all letters": THOUGHT + r"\boxed{ABCD}",
    "the right letter, another option's text": THOUGHT + r"\boxed{B. a red car}",
    "the right letter, two options' texts": THOUGHT + r"\boxed{(B) a red car, a dog}",
    "another letter, the right option's text": THOUGHT + r"\boxed{A. a dog}",
    "another option's text, the right letter": THOUGHT + r"\boxed{a red car (B)}",
    "not the right one": THOUGHT + r"\boxed{not B}",
    "the right one, called wrong": THOUGHT + r"\boxed{B. is wrong, it is A}",
    "a statement taken back": THOUGHT + "The answer is B, no wait, A",
    "a doubt": THOUGHT + "The answer may be B",
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("text", ADVERSARIAL.values(), ids=ADVERSARIAL.keys())
def test_adversarial_texts_neither_hang_nor_pay(text: str) -> None:
    result = score(text)
    assert result["accuracy"] == 0.0
    assert float(result["score"]) <= 0.1


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "answer",
    ["9^{9^{9^{9}}}", "(9^{9}!)^{9^9}", "{" * 10_000 + "7" + "}" * 10_000, "7" * 1_000_000, "7, 8, 9", "٧x", "7 or 8"],
    ids=["tower", "endless", "nested", "megabyte", "several", "look-alike", "hedged"],
)
def test_adversarial_free_answers_neither_hang_nor_pay(answer: str) -> None:
    result = compute_score("t", rf"<think>t</think> \boxed{{{answer}}}", "7", {"options": []})
    assert result["accuracy"] == 0.0


def test_an_unparsed_reply_loses_its_penalty_and_a_wrong_one_does_not() -> None:
    assert score("no answer", unparsed_penalty=0.5)["score"] == -0.5
    assert score(r"<think>t</think> \boxed{E}", unparsed_penalty=0.5)["score"] == pytest.approx(-0.4)
    assert score(r"\boxed{A}", unparsed_penalty=0.5)["score"] == 0.0
    assert score(r"\boxed{B}", unparsed_penalty=0.5)["score"] == 0.9


@pytest.mark.timeout(60)
def test_a_grader_that_fails_costs_the_reply_no_penalty() -> None:
    result = compute_score("t", r"\boxed{8^{9^{9^{9}}}}", "9^{9^{9^{9}}}", None, unparsed_penalty=0.5)
    assert (result["outcome"], result["score"]) == ("failed", 0.0)


def test_a_batch_scores_as_one_at_a_time() -> None:
    replies = [THOUGHT + r"\boxed{B}", "none of it", r"\boxed{12}", r"<think>x</think> \boxed{\frac{1}{2}}"]
    golds = ["B", "A", "12", "0.5"]
    extras = [OPTIONS, OPTIONS, {"options": numpy.array([])}, None]
    together = compute_scores(["s"] * 4, replies, golds, extras, unparsed_penalty=0.5)
    alone = [
        compute_score("s", *one, unparsed_penalty=0.5)  # type: ignore[arg-type]
        for one in zip(replies, golds, extras, strict=True)
    ]
    assert together == alone
    assert [one["score"] for one in together] == pytest.approx([1.0, -0.5, 0.9, 1.0])


def test_format_wants_one_thought_then_a_box() -> None:
    assert well_formed("<think>\nso\n</think>\n\\boxed{4} metres")
    assert not well_formed("before <think>so</think> \\boxed{4}")
    assert not well_formed("<think>so \\boxed{4}</think> four")
    assert not well_formed("<think>so</think> \\boxed{4")


def test_loads_by_path_and_imports_nothing_heavy() -> None:
    code = (
        "import importlib.util, json, sys, training.reward as r\n"
        "spec = importlib.util.spec_from_file_location('by_path', r.__file__)\n"
        "m = importlib.util.module_from_spec(spec); spec.loader.exec_module(m)\n"
        "m.compute_score('s', 'x', 'A', {'options': list('abcd')})\n"
        "print(json.dumps([n for n in ('torch', 'verl', 'vllm', 'ray', 'transformers') if n in sys.modules]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(out) == []
