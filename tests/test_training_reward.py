"""The reward pays a right answer and a well-formed reply, and nothing else, however odd the text."""

import json
import subprocess
import sys
import time

import numpy
import pytest

from capcurriculum.answers import grade
from training.reward import compute_score, well_formed

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
    assert set(result) == {"score", "accuracy", "format", "outcome", "answer"}


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


@pytest.mark.parametrize(
    "text",
    [
        "<think>" + "{" * 10_000 + r"</think> \boxed{" + "{" * 10_000,
        "<think>" * 20_000,
        r"\boxed{A}" * 20_000,
        "x" * 1_000_000,
        "<think>" + "x" * 1_000_000 + r"</think> \boxed{Ｂ and not B}",
        r"<think>t</think> \boxed{A, B}",
    ],
)
def test_adversarial_texts_neither_hang_nor_pay(text: str) -> None:
    began = time.perf_counter()
    assert float(score(text)["score"]) <= 0.1
    assert time.perf_counter() - began < 2


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
