"""Which answers equal which gold answers, by the kind of the gold answer; and that none can hang, raise or be slow."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capcurriculum.answers import kind_of
from capcurriculum.grading.comparing import COMPARATORS, compare
from capcurriculum.grading.kinds import Kind, gold
from capcurriculum.grading.notation import numbers, units
from capcurriculum.grading.notation.expression import parse
from capcurriculum.grading.notation.spelling import clean
from capcurriculum.grading.notation.tokens import Words, is_product, tokens
from capcurriculum.grading.notation.tree import Broken, Tree, Unevaluated, Unread
from capcurriculum.grading.values.arithmetic import TooLarge, Undefined
from capcurriculum.grading.values.evaluate import Evaluator
from capcurriculum.rows import Outcome

CASES = Path(__file__).with_name("cases.txt")


def cases() -> list[tuple[str, str, str, str]]:
    """(kind, sign, answer, gold answer)."""
    found, kind = [], ""
    for line in CASES.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            kind = line[2:]
        elif line and not line.startswith("//"):
            sign, answer, key = line.split("\t")
            found.append((kind, sign, answer, key))
    return found


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_comparator_and_cases_of_both_signs(kind: Kind) -> None:
    assert kind in COMPARATORS
    assert {sign for named, sign, _, _ in cases() if named == kind} == {"=", "!"}


@pytest.mark.parametrize(("kind", "sign", "answer", "key"), cases())
def test_answers_and_gold_answers(kind: str, sign: str, answer: str, key: str) -> None:
    outcome, detail = compare(answer, key)
    assert (outcome is Outcome.RIGHT) == (sign == "="), (outcome, detail)
    assert outcome is not Outcome.FAILED
    assert kind_of(key) == kind
    assert compare(key, key)[0] is Outcome.RIGHT


KINDS = [
    ("42", Kind.NUMBER),
    (r"3\frac{1}{2}", Kind.NUMBER),
    ("1,000", Kind.NUMBER),
    ("5 cm", Kind.QUANTITY),
    (r"50\%", Kind.QUANTITY),
    (r"5\text{ zorbs}", Kind.QUANTITY),
    ("2x+1", Kind.EXPRESSION),
    (r"2\sqrt{3}", Kind.EXPRESSION),
    ("2:3", Kind.EXPRESSION),
    ("y=2x", Kind.EQUATION),
    ("x>2", Kind.INTERVAL),
    ("[0,1)", Kind.INTERVAL),
    ("(0,1)", Kind.TUPLE),
    ("1, 2", Kind.LIST),
    (r"\pm 3", Kind.LIST),
    (r"\{1,2\}", Kind.SET),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", Kind.MATRIX),
    ("No", Kind.TEXT),
    ("up", Kind.TEXT),
    ("12/05", Kind.TEXT),
    ("3-4", Kind.TEXT),
    ("R&D", Kind.TEXT),
    ("12 Main Street", Kind.TEXT),
    ("(C)", Kind.CHOICE),
    (r"\text{(D)}", Kind.CHOICE),
]


@pytest.mark.parametrize(("key", "kind"), KINDS)
def test_the_kind_of_a_gold_answer(key: str, kind: Kind) -> None:
    assert kind_of(key) is kind


def test_a_source_may_name_the_kind() -> None:
    assert compare("-1", "5-6")[0] is Outcome.WRONG
    assert compare("-1", "5-6", Kind.EXPRESSION)[0] is Outcome.RIGHT
    assert compare("ba", "ab")[0] is Outcome.RIGHT
    assert compare("ba", "ab", Kind.TEXT)[0] is Outcome.WRONG
    assert gold("ab", Kind.TEXT).kind is Kind.TEXT


@pytest.mark.parametrize(
    ("answer", "key", "outcome"),
    [
        (r"\frac{1}{", "3", Outcome.UNPARSED),
        ("3?", "3", Outcome.UNPARSED),
        ("", "3", Outcome.UNPARSED),
        (r"\boxed{}", "3", Outcome.UNPARSED),
        (r"\int_0^1 2x\,dx", "1", Outcome.UNPARSED),
        (r"\sum_{k=1}^{9000} \sqrt{k}", "3", Outcome.UNPARSED),
        (r"\foo{3}", "3", Outcome.UNPARSED),
        ("9" * 1001, "3", Outcome.UNPARSED),
        ("9^{9^{9^{9}}}", "3", Outcome.WRONG),
        ("1/0", "3", Outcome.WRONG),
        ("20 units", "18 students", Outcome.WRONG),
        ("Dr. Jones", "Dr. Smith", Outcome.WRONG),
        ("3", r"\frac{1}{", Outcome.FAILED),
        ("3", "9" * 1001, Outcome.FAILED),
        ("8^{9^{9^{9}}}", "9^{9^{9^{9}}}", Outcome.FAILED),
    ],
)
@pytest.mark.usefixtures("patient_maths")
def test_unknown_is_not_wrong_and_wrong_is_not_unknown(answer: str, key: str, outcome: Outcome) -> None:
    found, detail = compare(answer, key)
    assert found is outcome
    assert bool(detail) == (outcome in (Outcome.UNPARSED, Outcome.FAILED))


def test_numbers_are_read_exactly() -> None:
    def value(text: str) -> Fraction | None:
        number = numbers.read(text)
        return None if number is None else number.value

    assert value("0.1") == Fraction(1, 10)
    assert value("1,234.5") == Fraction(2469, 2)
    assert value("-6.6e-34") == Fraction(-66, 10**35)
    assert value(r"2\times 10^{-3}") == Fraction(1, 500)
    assert value(r"3\frac{1}{2}") == value("3 1/2") == Fraction(7, 2)
    assert value("1e999") == 10**999
    for text in ("", ".", "-", "1/0", "12/05", "1,23", "1 2", "x", "1e9999", r"3\frac{7}{2}"):
        assert value(text) is None


@pytest.mark.parametrize(
    ("one", "other", "decimal", "same"),
    [
        ("0.3333333", "1/3", True, True),
        ("0.333333", "1/3", True, True),
        ("0.33333", "1/3", True, False),
        ("0.30000000000000004", "0.3", True, True),
        ("123456789.1", "123456789.2", True, False),
        ("0.0000001", "0", True, False),
        ("1e-34", "2e-34", True, False),
        ("1000000001", "1000000000", False, False),
    ],
)
def test_a_tolerance_that_a_tiny_number_cannot_hide_in(one: str, other: str, decimal: bool, same: bool) -> None:
    assert numbers.equal(Fraction(one), Fraction(other), decimal=decimal) is same
    assert numbers.equal(Fraction(other), Fraction(one), decimal=decimal) is same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cm^2", "square centimeters"),
        ("m/s^2", r"\text{m/s}^2"),
        ("km/h", "kilometers per hour"),
        ("m s^{-2}", "m/s^2"),
        ("mph", "miles per hour"),
        (r"\frac{m}{s}", "meters per second"),
        ("°C", "degrees Celsius"),
        ("ft", "feet"),
        ("平方厘米", "cm^2"),
        ("hrs", "hour"),
        ("people", "person"),
        ("boxes", "box"),
    ],
)
def test_one_unit_in_two_spellings(one: str, other: str) -> None:
    first, second = units.unit(one.replace(r"\text{", "").replace("}^", "^")), units.unit(other.replace(r"\text{", ""))
    assert first is not None
    assert units.agree(first, units.unit(other.replace(r"\text{", "").replace("}^", "^")) or second)


@pytest.mark.parametrize(
    "text", ["million", "dozen", "pi", "xy", "Main Street", "not four", "", "cm cm^", "AM", "zorbs"]
)
def test_what_is_not_listed_is_no_unit(text: str) -> None:
    assert units.unit(text) is None


@pytest.mark.parametrize("run", ["x", "xy", "abc", "bca", "wxyz", "pqr", "nk"])
def test_a_product_of_symbols(run: str) -> None:
    assert is_product(run)


@pytest.mark.parametrize("run", ["no", "on", "up", "red", "cat", "Evelyn", "TV", "day", "yes"])
def test_a_word(run: str) -> None:
    assert not is_product(run)


def tree(text: str) -> Tree:
    return parse(tokens(clean(text)))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/2*3", Fraction(3, 2)),
        ("2^3^2", 512),
        ("-2^2", -4),
        ("3!!", 720),
        (r"\frac12", Fraction(1, 2)),
        (r"2\cdot-3", -6),
        ("2+-3", -1),
        (r"\binom{6}{2}", 15),
        (r"|2-5|", 3),
        (r"\lfloor -1.5 \rfloor", -2),
        (r"\sqrt[3]{-27}", -3),
        (r"3\frac{1}{4}", Fraction(13, 4)),
        (r"0.\overline{12}", Fraction(4, 33)),
        (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", -2),
    ],
)
def test_the_value_of_an_expression(text: str, value: Fraction) -> None:
    found = Evaluator()(tree(text))
    assert abs(found - value) < 1e-40


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("red car", Words),
        ("2 3", Broken),
        ("(1", Broken),
        ("2+", Broken),
        ("x2", Broken),
        (r"2\frac{5}{3}", Broken),
        ("(" * 60 + "1" + ")" * 60, Broken),
        (r"\foo", Unread),
        (r"\int x", Unevaluated),
    ],
)
def test_what_is_no_expression(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        tree(text)


@pytest.mark.parametrize("text", ["1/0", "0^{-1}", r"\log 0", r"\sin(10^{99})", r"\tan^{-1}(i)+\frac{1}{0}"])
def test_what_has_no_value(text: str) -> None:
    with pytest.raises(Undefined):
        Evaluator()(tree(text))


@pytest.mark.parametrize("text", ["9^{9^{9^9}}", "(10^{16})!", r"\binom{10^{17}}{10^{16}}"])
def test_what_is_too_large(text: str) -> None:
    with pytest.raises(TooLarge):
        Evaluator()(tree(text))


COSTLY = [
    "9^{9^{9^{9}}}",
    "100000000!",
    "(9^{9}!)^{9^9}",
    r"\sum_{k=1}^{8000} \sqrt{k}",
    r"\prod_{k=1}^{90000} k",
    "5" + "!" * 900,
    "(" * 450 + "1" + ")" * 450,
    "{" * 450 + "1" + "}" * 450,
    "[" * 450 + "1" + "]" * 450,
    r"\sin" * 240 + "x",
    "x^" * 490 + "2",
    "+".join(f"1/{base}^{{1400}}" for base in range(3, 80)),
    "*".join([r"(2^{1400})^{14}"] * 50),
    ",".join(str(number) for number in range(300)),
    "f(" * 200 + "x" + ")" * 200,
    "x" * 900,
    "|" * 900,
    r"\begin{pmatrix}" + "1&" * 200 + r"1\end{pmatrix}",
    r"\begin{pmatrix}1&2\\3&4\end{pmatrix}" * 20,
    r"9^{9^9} \bmod 7",
]


@pytest.mark.parametrize("answer", COSTLY, ids=range(len(COSTLY)))
@pytest.mark.parametrize("key", ["7", "x+1", "1,2", "(1,2)", "y=2x", "x>2", "5 cm"])
def test_no_answer_asks_a_worker_or_takes_long(answer: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capcurriculum.grading.workers.pool.ask", lambda *_: pytest.fail("a worker was asked"))
    begun = time.thread_time()
    assert compare(answer, key)[0] in {Outcome.WRONG, Outcome.UNPARSED}
    assert time.thread_time() - begun < 5  # far above the hundredth it takes


_SIGNS = [
    r"\frac{",
    r"\sqrt",
    r"{",
    r"}",
    r"(",
    r")",
    r"[",
    r"]",
    r"\{",
    r"\}",
    r"^",
    r"_",
    r"!",
    r"°",
    r"%",
    r"+",
    r"-",
    r"*",
    r"/",
    r"\pm",
    r"=",
    r"<",
    r"\le",
    r"\ne",
    r"\in",
    r"\cup",
    r",",
    r";",
    r"and",
    r"or",
    r":",
    r"|",
    r"\text{",
    r"cm",
    r"m",
    r"x",
    r"y",
    r"n",
    r"e",
    r"i",
    r"\pi",
    r"\infty",
    r"1",
    r"2",
    r"9",
    r"0",
    r".5",
    r"1e5",
    r"10^",
    r"\sin",
    r"\log_2",
    r"\binom{",
    r"}{",
    r"\begin{pmatrix}",
    r"\end{pmatrix}",
    r"&",
    r"\\",
    r"\begin{cases}",
    r"\end{cases}",
    r"\vec",
    r"\angle",
    r"AB",
    r"f(",
    r"\min(",
    r"\$",
    r"$",
    r"\left",
    r"\mathbb{R}",
    r"'",
    r"\overline{",
    r"million",
    r"\lfloor",
    r"\rfloor",
    r"#",
    r"@",
    r"½",
    r"√",
    r"²",
    r"中",
    r"\langle",
    r"\rangle",
]


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from([*_SIGNS, " ", "\x00", "\ud800"]), max_size=40).map("".join), st.sampled_from(
    ["7", "x+1", r"\sqrt{2}", "(1,2)", "1,2", "y=2x+1", "x>2", "5 cm", r"\begin{pmatrix}1\\2\end{pmatrix}", "2:3"]
))  # fmt: skip
def test_no_answer_raises(answer: str, key: str) -> None:
    compare(answer, key)


@settings(max_examples=300, deadline=None)
@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30))
def test_integers_are_equal_only_to_themselves(one: int, other: int) -> None:
    assert (compare(str(one), str(other))[0] is Outcome.RIGHT) == (one == other)
    assert compare(f"{one:,}", str(one))[0] is Outcome.RIGHT
    assert compare(f"x = {one}.0", rf"{one}\text{{ cm}}")[0] is Outcome.RIGHT


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_lists_forget_order_and_tuples_do_not(items: list[int], draw: random.Random) -> None:
    shuffled = items.copy()
    draw.shuffle(shuffled)
    one, other = ", ".join(map(str, items)), ", ".join(map(str, shuffled))
    assert compare(other, one)[0] is Outcome.RIGHT
    assert compare(rf"\{{{other}\}}", rf"\{{{one}\}}")[0] is Outcome.RIGHT
    assert (compare(f"({other})", f"({one})")[0] is Outcome.RIGHT) == (items == shuffled)
    assert compare(", ".join(map(str, [*items, items[0]])), one)[0] is Outcome.WRONG


def test_verdicts_do_not_depend_on_threads_or_order() -> None:
    rows = [(answer, key) for _, _, answer, key in cases()]
    alone = [compare(*row)[0] for row in rows]
    order = list(range(len(rows)))
    random.Random(3).shuffle(order)
    with ThreadPoolExecutor(32) as threads:
        shuffled = dict(zip(order, threads.map(lambda place: compare(*rows[place])[0], order), strict=True))
    assert [shuffled[place] for place in range(len(rows))] == alone
