"""Maths answers: which are equal, and that no answer can hang, crash or starve another."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from capcurriculum import maths
from capcurriculum.maths import compare
from capcurriculum.maths_text import astronomical, canonical
from capcurriculum.rows import Outcome

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


COSTLY = {
    "tower": "9^{9^{9^{9}}}",
    "factorial": "100000000!",
    "hidden power": "(9^{9}!)^{9^9}",
    "sum": r"\sum_{k=1}^{8000} \sqrt{k}",
    "product": r"\prod_{k=1}^{90000} k",
    "braces": "{" * 450 + "1" + "}" * 450,
    "brackets": "(" * 450 + "1" + ")" * 450,
    "long": "1" * 5000,
}


@pytest.mark.parametrize("answer", COSTLY.values(), ids=COSTLY.keys())
@pytest.mark.timeout(30)
def test_costly_answers_are_never_paid(answer: str) -> None:
    assert compare("2+2", "4")[0] is Outcome.RIGHT  # the worker is up, so its start is not measured
    begun = time.monotonic()
    assert compare(answer, "7")[0] in {Outcome.FAILED, Outcome.UNPARSED, Outcome.WRONG}
    assert time.monotonic() - begun < maths.LIMIT_SECONDS + 3  # loose: the machine may be busy


@pytest.mark.timeout(60)
def test_one_hanging_answer_disturbs_no_other() -> None:
    answers = [("(9^{9}!)^{9^9}" if n == 3 else f"{n}+1") for n in range(12)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(compare, answers, [str(n + 1) for n in range(12)]))
    assert [outcome for outcome, _ in found] == [Outcome.FAILED if n == 3 else Outcome.RIGHT for n in range(12)]


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


def _only_worker() -> maths._Worker:
    compare("2+2", "4")
    assert maths._shared is not None
    return next(iter(maths._shared._started))


@pytest.fixture
def fresh_pool() -> None:
    maths.shut_down()


@pytest.mark.usefixtures("fresh_pool")
def test_a_worker_killed_from_outside_is_replaced() -> None:
    pid = _only_worker()._process.pid
    os.kill(pid, signal.SIGKILL)
    assert compare("3+3", "6") == (Outcome.RIGHT, "")
    assert _only_worker()._process.pid != pid


@pytest.mark.usefixtures("fresh_pool")
def test_a_worker_that_stops_answering_costs_one_answer() -> None:
    os.kill(_only_worker()._process.pid, signal.SIGSTOP)
    outcome, why = compare("3+3", "6")
    assert (outcome, "no verdict" in why) == (Outcome.FAILED, True)
    assert compare("3+3", "6") == (Outcome.RIGHT, "")


@pytest.mark.usefixtures("fresh_pool")
def test_one_thread_starts_one_worker() -> None:
    for n in range(20):
        compare(f"{n}+1", str(n + 1))
    assert maths._shared is not None
    assert len(maths._shared._started) == 1


def _in_child(connection: "multiprocessing.connection.Connection") -> None:
    connection.send(compare("3+3", "6"))


@pytest.mark.timeout(60)
def test_a_forked_daemonic_child_has_its_own_workers() -> None:
    before = _only_worker()._process.pid
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_in_child, args=(theirs,), daemon=True)
    child.start()
    assert ours.recv() == (Outcome.RIGHT, "")
    child.join()
    assert compare("4+4", "8") == (Outcome.RIGHT, "")
    assert _only_worker()._process.pid == before


def test_workers_end_with_their_parent() -> None:
    script = (
        "import os; from capcurriculum import maths; maths.compare('2+2', '4');"
        "print(next(iter(maths._shared._started))._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    pid = int(done.stdout)
    for _ in range(100):
        if not _running(pid):
            return
        time.sleep(0.1)
    pytest.fail(f"worker {pid} outlived its parent")


def _running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_works_from_a_thread_without_signals() -> None:
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.append(compare("5+5", "10")[0]))
    thread.start()
    thread.join()
    assert found == [Outcome.RIGHT]
