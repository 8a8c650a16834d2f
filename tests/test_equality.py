"""Which maths answers are equal, which are not, and which cannot be known."""

import pytest

from capcurriculum.maths import compare
from capcurriculum.maths_text import astronomical, canonical
from capcurriculum.rows import Outcome

pytestmark = pytest.mark.usefixtures("patient_maths")

EQUAL = [
    ("60°", "60"),
    (r"60^\circ", "60"),
    (r"60^{\circ}", "60°"),
    (r"50\%", "0.5"),
    ("50%", r"\frac{1}{2}"),
    (r"75\%", r"\frac{\sqrt{9}}{4}"),
    ("2√3", r"2\sqrt{3}"),
    ("2√(3)", r"2\sqrt{3}"),
    (r"\sqrt{12}", "2√3"),
    (r"\sqrt2", r"\sqrt{2}"),
    ("x²+1", "x^{2}+1"),
    ("−1", "-1"),
    (r"\dfrac12", "1/2"),
    (".5", r"\frac{1}{2}"),
    ("0.333333", "1/3"),
    ("1,000", "1000"),
    (r"1{,}000", "1000"),
    (r"1\,000", "1000"),
    ("1e3", "1000"),
    ("3 × 10^2", "300"),
    ("x = 5", "5"),
    ("5", "x=5"),
    ("y=2x+1", "y = 1 + 2x"),
    ("(x+1)^2", "x^2+2x+1"),
    (r"12\text{ cm}", "12"),
    ("12", "12 cm"),
    (r"5\text{ apples}", "5"),
    (r"\$5", "5"),
    ("1, 2", "2,1"),
    (r"5 \text{ and } 7", "5,7"),
    ("x>2", "2<x"),
    (r"\text{Red}", "red"),
    (r"\pi/2", r"\frac{\pi}{2}"),
    (r"\left(1, 2\right)", "(1,2)"),
    ("9^{9^{9^{9}}}", "9^{9^{9^{9}}}"),
]

DIFFERENT = [
    (r"50\%", "50"),
    ("50", "50%"),
    ("0.333", "1/3"),
    ("2.00001", "2"),
    ("123456.7", "123456.75"),
    ("(1,2)", "(2,1)"),
    ("[0,1]", "(0,1)"),
    ("3, 4", "3"),
    ("3 or 4", "3"),
    (r"\pm 3", "3"),
    (r"x \in [0,9]", "5"),
    ("y=3", "x=3"),
    ("a", "A"),
    ("x = a", "A"),
    ("ab", "AB"),
    ("der", "red"),
    ("blue", "red"),
    ("five", "5"),
    ("12x", "12"),
    ("2 - i", "2"),
    ("1/0", "2"),
]


@pytest.mark.parametrize(("answer", "gold"), EQUAL)
def test_equal_answers_are_right(answer: str, gold: str) -> None:
    assert compare(answer, gold) == (Outcome.RIGHT, "")


@pytest.mark.parametrize(("answer", "gold"), DIFFERENT)
def test_different_answers_are_wrong(answer: str, gold: str) -> None:
    assert compare(answer, gold)[0] is Outcome.WRONG


@pytest.mark.parametrize(
    ("answer", "gold", "outcome"),
    [
        (r"\frac{1}{", "3", Outcome.UNPARSED),
        ("3?", "3", Outcome.UNPARSED),
        ("", "3", Outcome.UNPARSED),
        ("3", r"\frac{1}{", Outcome.FAILED),
        ("12 cm", "12 m", Outcome.FAILED),
    ],
)
def test_what_cannot_be_known_is_neither_right_nor_wrong(answer: str, gold: str, outcome: Outcome) -> None:
    found, why = compare(answer, gold)
    assert found is outcome
    assert why or outcome is Outcome.UNPARSED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9^{9^{9^{9}}}", True),
        ("10^{10^{10}}", True),
        ("x+2^{99999}", True),
        ("100000!", True),
        ("9" * 900 + "^{9" * 40 + "}" * 40, True),
        ("2^{3^{9999}}", True),
        ("2^{2^{2^2}}", False),
        ("10^{100}", False),
        ("20!", False),
        ("1^{9^9}", False),
        ("x^{99999}", False),
    ],
)
def test_numbers_too_large_to_compare_are_known_by_sight(text: str, expected: bool) -> None:
    assert astronomical(canonical(text)) is expected
