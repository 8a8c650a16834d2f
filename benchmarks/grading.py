"""Grades per second, one caller: what a pass rate over a million rollouts, or a training step, waits for."""

import time
from collections.abc import Sequence

from capcurriculum.answers import Options, grade

_OPTIONS = ("a red car", "a blue car", "two dogs", "a cat")
_THOUGHT = "<think>" + "The car in the picture is red, so the first option fits best. " * 30 + "</think> "
_CHOICES = tuple(
    (_THOUGHT + reply, "A", _OPTIONS)
    for reply in (
        r"\boxed{A}",
        r"\boxed{A. a red car}",
        r"\boxed{\text{B}}",
        r"\boxed{a cat}",
        "Answer: A",
        "The answer is (C).",
        "(a)",
        "It depends on the light.",
    )
)
_NUMBERS = tuple(
    (rf"{_THOUGHT}\boxed{{{answer}}}", gold, None)
    for answer, gold in (("42", "42"), ("60°", "60"), (r"50\%", "0.5"), (r"\frac{3}{4}", "0.75"), ("1,000", "999"))
)
_ALGEBRA = tuple(
    (rf"{_THOUGHT}\boxed{{{answer}}}", gold, None)
    for answer, gold in (
        (r"2\sqrt{3}", r"\sqrt{12}"),
        (r"\frac{\pi}{2}", r"\pi/2"),
        ("(1, 3)", "(1, 2)"),
        ("x^2+2x+1", "(x+1)^2"),
        (r"\frac{5}{\sqrt{5}}", r"\sqrt{5}"),
    )
)

Items = Sequence[tuple[str, str, Options | None]]


def choice_per_second() -> float:
    """Four-option replies."""
    return _rate(_CHOICES, 4000)


def maths_per_second() -> float:
    """Free answers, half of them digits."""
    return _rate(_NUMBERS + _ALGEBRA, 400)


def algebra_per_second() -> float:
    """Free answers that are more than digits."""
    return _rate(_ALGEBRA, 200)


def _rate(items: Items, count: int) -> float:
    for text, gold, options in items:  # imports are not the question
        grade(text, gold, options)
    begun = time.perf_counter()
    for n in range(count):
        text, gold, options = items[n % len(items)]
        grade(text, gold, options)
    return count / (time.perf_counter() - begun)
