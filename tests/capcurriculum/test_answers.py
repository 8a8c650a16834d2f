"""Replies and what they are worth: a table of what people and models write, and of what must never be read into it."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capcurriculum.answers import Grade, grade, grade_many
from capcurriculum.rows import Outcome

pytestmark = pytest.mark.usefixtures("patient_maths")

OPTIONS = {"A": "A dog", "B": "A red car", "C": "a cat", "D": "60°"}
UNPARSED = ""

CHOICES = [
    # the last box
    (r"\boxed{B}", "B"),
    (r"\boxed{B. A red car}", "B"),
    (r"\boxed{B: red}", "B"),
    (r"\boxed{\text{B}}", "B"),
    (r"\boxed{\textbf{(B)}}", "B"),
    (r"$\boxed{\mathrm{B}}$", "B"),
    (r"\boxed{(b)}", "B"),
    (r"\boxed{ b. }", "B"),
    (r"\boxed{\(B\)}", "B"),
    (r"\boxed{Option B}", "B"),
    (r"\boxed{a red car}", "B"),
    (r"\boxed{A red car}", "B"),
    (r"\boxed{60^\circ}", "D"),
    (r"\boxed{A} or rather \boxed{B}", "B"),
    (r"The answer is A. \boxed{B}", "B"),
    (r"\boxed{\boxed{B}}", "B"),
    ("\\boxed{\uff22}", "B"),  # fullwidth
    ("\\boxed{\u0412}", UNPARSED),  # Cyrillic
    (r"\boxed{}", UNPARSED),
    (r"\boxed{A} so \boxed{B", UNPARSED),
    (r"Answer: B. \boxed{the car}", UNPARSED),
    (r"\boxed{E}", UNPARSED),
    (r"\boxed{A, B}", UNPARSED),
    (r"\boxed{A or B}", UNPARSED),
    (r"\boxed{A. B}", UNPARSED),
    (r"\boxed{A/B}", UNPARSED),
    (r"\boxed{not B}", UNPARSED),
    (r"\boxed{B. a cat}", UNPARSED),
    # an explicit final statement
    ("Answer: B", "B"),
    ("answer: b", "B"),
    ("**Answer:** B", "B"),
    ("### Final Answer: (B)", "B"),
    ("Answer:\n\nB", "B"),
    ("The answer is (B)", "B"),
    ("The answer is B.", "B"),
    ("So the answer is **B**.", "B"),
    ("I see a car. Therefore, the correct answer is B: A red car", "B"),
    ("The final answer is $B$.", "B"),
    ("The correct option is B", "B"),
    ("The answer is option B.", "B"),
    ("The answer is B, since it is red.", "B"),
    ("The answer is A red car.", "B"),
    ("The answer is a red car. It is parked.", "B"),
    ("Answer: A\nNo. Answer: B", "B"),
    ("The answer is B because of the wheels", "B"),
    ("The answer is B because A is a dog", UNPARSED),
    ("The answer is B。", "B"),
    ("答案是B", "B"),
    ("故选：B", "B"),
    ("因此,正确选项是 B。", "B"),
    ("答案：\uff22", "B"),
    ("B)", "B"),
    ("Option B is correct.", "B"),
    ("Therefore, option (B) is the right choice.", "B"),
    ("If option B is correct, then", UNPARSED),
    ("Option B is not correct.", UNPARSED),
    ("<answer>B</answer>", "B"),
    (r"\boxed{Answer: B}", "B"),
    (r"\boxed{\bf B}", "B"),
    (r"\boxed{B、a red car}", "B"),
    (r"\boxed{red car}", "B"),
    (r"\fbox{B}", "B"),
    (r"\boxed{60}", "D"),
    (r"\boxed{x = 60 \text{ degrees}}", "D"),
    (r"\boxed{B} or \boxed{D}", UNPARSED),
    (r"\boxed{B}, \boxed{B}", "B"),
    ("The answer is A car", UNPARSED),
    ("Answer: A or B", UNPARSED),
    ("Answer: A, B", UNPARSED),
    ("If the answer is B, then", UNPARSED),
    ("I think the answer is B", UNPARSED),
    ("The answer is not B", UNPARSED),
    ("The answer is A. No, the answer isn't A.", UNPARSED),
    ("The answer is A. But the answer may be B.", UNPARSED),
    # a reply that is the answer
    ("B", "B"),
    ("b", "B"),
    ("(b)", "B"),
    ("**B**", "B"),
    (" B.\n", "B"),
    ("\uff22", "B"),
    ("A red car.", "B"),
    ("a red car", "B"),
    ("(B) A red car", "B"),
    ("B - a red car", "B"),
    ("\u0412", UNPARSED),
    ("A car is red", UNPARSED),
    ("A. It may also be something else", UNPARSED),
    ("", UNPARSED),
    # thinking
    (r"<think>\boxed{A}</think> \boxed{B}", "B"),
    (r"\boxed{A}</think>B", "B"),
    (r"<think>\boxed{B}</think>", UNPARSED),
    (r"<think>so it is \boxed{B}", UNPARSED),
    (r"<thinking>\boxed{B}</thinking> done", UNPARSED),
    (r"<think></think>\boxed{B}<think>\boxed{A}", "B"),
]


@pytest.mark.parametrize(("text", "letter"), CHOICES)
def test_choice_is_read_strictly(text: str, letter: str) -> None:
    graded = grade(text, "B", OPTIONS)
    assert graded.answer == letter
    expected = {"B": Outcome.RIGHT, UNPARSED: Outcome.UNPARSED}.get(letter, Outcome.WRONG)
    assert graded.outcome is expected
    assert bool(graded.detail) == (expected is Outcome.UNPARSED)


@pytest.mark.parametrize(
    "text",
    [
        "answer based on the picture",
        "The answer depends on the light",
        "The answer depends",
        "answer cannot be determined",
        "The answer cannot be determined",
        "answer according to the sign",
        "answer appears to be D",
        "The answer appears to be D",
        "Based on the image, a dog",
        "It is a dog",
        "It is a B",
        "A red car is left of B",
    ],
)
def test_no_letter_is_taken_from_a_word(text: str) -> None:
    assert grade(text, "B", OPTIONS).outcome is Outcome.UNPARSED


@pytest.mark.parametrize(
    "text", [r"2 - i", r"x = a", r"\frac{1}{a}", r"6 h", r"C(5,2)", r"E = 5", "None", "a - 5", "(a) + b"]
)
def test_maths_is_never_a_letter(text: str) -> None:
    nine = [f"text {n}" for n in range(9)]
    assert grade(rf"\boxed{{{text}}}", "A", nine).outcome is Outcome.UNPARSED
    assert grade(rf"\boxed{{{text}}}", "A").outcome is not Outcome.RIGHT


def test_a_letter_that_is_wrong_is_wrong() -> None:
    assert grade(r"\boxed{C}", "B", OPTIONS) == Grade(Outcome.WRONG, "C")


def test_two_options_with_one_text_cannot_be_told_apart_by_it() -> None:
    options = ["a dog", "A dog.", "a cat", "a cow"]
    assert grade(r"\boxed{a dog}", "A", options).outcome is Outcome.UNPARSED
    assert grade(r"\boxed{A}", "A", options).outcome is Outcome.RIGHT


def test_a_letter_is_a_letter_before_it_is_an_options_text() -> None:
    assert grade(r"\boxed{B}", "B", ["B", "A", "D", "C"]).answer == "B"


def test_letter_and_text_of_two_options_at_once_is_ambiguous() -> None:
    options = ["red car", "A red car", "a cat", "a cow"]
    assert grade("The answer is A red car", "B", options).outcome is Outcome.UNPARSED


@pytest.mark.parametrize("gold", ["E", "", "AB", "a red car", "\u0412"])
def test_a_gold_that_is_no_letter_is_the_callers_error(gold: str) -> None:
    with pytest.raises(ValueError, match="not the letter of an option"):
        grade("B", gold, OPTIONS)


def test_options_must_have_letters() -> None:
    with pytest.raises(ValueError, match="single letters"):
        grade("B", "B", {"one": "x", "B": "y"})
    with pytest.raises(ValueError, match="more than there are letters"):
        grade("B", "B", ["x"] * 27)


FREE = [
    (r"\boxed{42}", "42", Outcome.RIGHT),
    (r"\boxed{41} no, \boxed{42}", "42", Outcome.RIGHT),
    (r"<think>\boxed{42}</think>", "42", Outcome.UNPARSED),
    (r"<think>\boxed{41}</think>\boxed{42}", "42", Outcome.RIGHT),
    ("Answer: 42", "42", Outcome.RIGHT),
    ("The answer is 42.", "42", Outcome.RIGHT),
    ("The answer is $x = 42$. Done.", "42", Outcome.RIGHT),
    ("The answer is 42 apples.", "42", Outcome.RIGHT),
    ("The answer is that nobody can know it", "42", Outcome.UNPARSED),
    ("The answer depends on 42", "42", Outcome.UNPARSED),
    ("42", "42", Outcome.RIGHT),
    ("**42**", "42", Outcome.RIGHT),
    ("x = 42", "42", Outcome.RIGHT),
    ("41", "42", Outcome.WRONG),
    ("She makes 9 * 2 = 18 more.\n#### 42", "42", Outcome.RIGHT),
    ("#### 1. Add\nWe add.\n#### Result\nAnswer: 42", "42", Outcome.RIGHT),
    ("I don't know", "42", Outcome.UNPARSED),
    ("There are 42 of them", "42", Outcome.UNPARSED),
    ("top left", "top left", Outcome.RIGHT),
    (r"\boxed{}", "42", Outcome.UNPARSED),
    (r"\boxed{42", "42", Outcome.UNPARSED),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}", Outcome.RIGHT),
    (r"\boxed{x = a}", "A", Outcome.WRONG),
    (r"\boxed{B}", "B", Outcome.RIGHT),
    (r"\boxed{b}", "B", Outcome.WRONG),
    ("", "42", Outcome.UNPARSED),
]


@pytest.mark.parametrize(("text", "gold", "outcome"), FREE)
def test_free_answer(text: str, gold: str, outcome: Outcome) -> None:
    assert grade(text, gold).outcome is outcome
    assert grade(text, gold, []).outcome is outcome


VALUES = [
    (["8cm", "6cm", "4cm", "2cm"], ["6", "6 cm", r"6\text{ cm}", "6.0", "B. 6", "B: 6 cm"], ["60", "6 m", "B. 8"]),
    (["10%", "20%", "30%"], [r"20\%", "20", "0.2", "20 percent"], ["2", "25%"]),
    ([r"\frac{1}{2}", r"\frac{1}{3}"], ["1/3", r"\frac13", r"\dfrac{2}{6}"], ["0.333"]),
    (["3", r"2\sqrt{3}", "4"], [r"\sqrt{12}", "2√3", r"2\sqrt3 \text{ cm}"], [r"\sqrt{13}", "A. 4"]),
    (["red", "red car", "a red car with wheels"], ["red car", "B. red car"], ["A. red car", "B: red"]),
    (["A) Increase", "B) Decrease"], ["Decrease", "B) Decrease", "B. Decrease"], ["A: Decrease"]),
    (["x=1", "x=2"], ["2", "x = 2", "B. x=2"], ["3", "A. x=2"]),
]


@pytest.mark.parametrize(("options", "second", "none"), VALUES)
def test_an_option_is_named_by_its_value(options: list[str], second: list[str], none: list[str]) -> None:
    assert {box: grade(rf"\boxed{{{box}}}", "B", options).answer for box in second} == dict.fromkeys(second, "B")
    assert {box: grade(rf"\boxed{{{box}}}", "B", options).answer for box in none} == dict.fromkeys(none, "")


BOXES = [
    (r"\boxed{1}, \boxed{2}", "2, 1", Outcome.RIGHT),
    (r"\boxed{1} \text{ and } \boxed{2}", r"\{1, 2\}", Outcome.RIGHT),
    (r"\boxed{(1,2)} \quad \text{or} \quad \boxed{(3,4)}", "(3,4), (1,2)", Outcome.RIGHT),
    (r"\boxed{1} or \boxed{3}", "1, 2", Outcome.WRONG),
    (r"\boxed{1} or \boxed{2}", "2", Outcome.UNPARSED),
    (r"\boxed{0.5} or \boxed{\frac12}", "1/2", Outcome.RIGHT),
    (r"\boxed{1}, no: \boxed{2}", "2", Outcome.RIGHT),
    (r"First \boxed{1}. Then \boxed{2}", "1, 2", Outcome.WRONG),
    (r"\boxed{1} \boxed{}", "1", Outcome.UNPARSED),
]


@pytest.mark.parametrize(("text", "gold", "outcome"), BOXES)
def test_several_boxes(text: str, gold: str, outcome: Outcome) -> None:
    assert grade(text, gold).outcome is outcome


def test_a_gold_may_be_a_number_and_a_reply_may_be_missing() -> None:
    assert grade(r"\boxed{5}", 5).outcome is Outcome.RIGHT
    assert grade(r"\boxed{5}", 5.0).outcome is Outcome.RIGHT
    assert grade(r"\boxed{0.5}", 0.5).outcome is Outcome.RIGHT
    assert grade(None, "5").outcome is Outcome.UNPARSED
    for gold in (None, True, float("nan"), [5]):
        with pytest.raises(ValueError, match="A gold answer is a text or a number"):
            grade(r"\boxed{5}", gold)


HOSTILE = [
    r"\boxed{9^{9^{9^{9}}}}",
    "\\boxed{" + "{" * 10_000 + "B" + "}" * 10_000 + "}",
    "{" * 10_000,
    "\\boxed{" * 10_000,
    "\\boxed{" * 10_000 + "B" + "}" * 10_000,
    r"\boxed{A}" * 10_000,
    "x" * 1_000_000,
    "\\boxed{" + "1" * 1_000_000 + "}",
    "\\text{" * 100_000,
    "the answer is " * 70_000,
    "so the final correct " * 50_000,
    "*_ \n" * 250_000,
    "<think>" * 100_000,
    "\ufdfa" * 100_000,
    "\\" * 1_000_000,
    "\x00\ud800\u202e",
    "\\boxed{\ud800 + 1}",
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_neither_hangs_nor_pays(text: str) -> None:
    assert grade(text, "C", OPTIONS).outcome in {Outcome.WRONG, Outcome.UNPARSED}
    assert grade(text, "7").outcome is not Outcome.RIGHT


@settings(max_examples=300, deadline=None)
@given(st.text(), st.sampled_from("ABCD"))
def test_no_text_raises(text: str, gold: str) -> None:
    assert grade(text, gold, OPTIONS).answer in {"", "A", "B", "C", "D"}


PIECES = st.sampled_from(
    [
        "\\boxed{",
        "}",
        "{",
        "A",
        "B",
        "(",
        ")",
        ".",
        "answer",
        "is",
        ":",
        "the ",
        "<think>",
        "</think>",
        "\\text{",
        "**",
        "$",
        " ",
        "\n",
        "red",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_no_broken_markup_raises_or_is_paid_without_its_letter(text: str) -> None:
    graded = grade(text, "B", OPTIONS)
    assert graded.outcome is not Outcome.RIGHT or "B" in text or "red" in text


@settings(max_examples=100, deadline=None)
@given(st.sampled_from("ABCD"), st.text(alphabet=st.characters(blacklist_characters="\\<"), max_size=200))
def test_a_final_box_decides_whatever_came_before(letter: str, before: str) -> None:
    assert grade(f"{before}\\boxed{{{letter}}}", letter, OPTIONS) == Grade(Outcome.RIGHT, letter)


def test_grade_many_keeps_order() -> None:
    items = [(rf"\boxed{{{n}}}", str(n % 3), None, None) for n in range(9)]
    assert [g.outcome is Outcome.RIGHT for g in grade_many(items)] == [n < 3 for n in range(9)]


def test_choices_never_load_sympy_nor_start_a_worker() -> None:
    script = (
        "import sys; from capcurriculum import answers; from capcurriculum.grading.workers import pool;"
        "heavy = {'sympy', 'math_verify', 'pydantic', 'mpmath'};"
        "answers.grade(r'\\boxed{B}', 'B', ['x', 'y']); answers.grade('42', '42'); answers.grade('1/2', '0.5');"
        "assert pool._shared is None; assert not heavy & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
