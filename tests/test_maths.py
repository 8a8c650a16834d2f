"""No maths answer can hang, crash or starve another, from whatever process or thread it is graded."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from capcurriculum import maths, maths_pool
from capcurriculum.maths import compare
from capcurriculum.rows import Outcome


@pytest.fixture(scope="module", autouse=True)
def processor_limit_only() -> Iterator[None]:
    """A wall limit that a busy machine does not reach: the processor limit is what ends a hang here."""
    maths.shut_down()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maths_pool, "LIMIT_SECONDS", 40.0)
        yield
        maths.shut_down()


@pytest.fixture
def fresh_pool() -> None:
    """No worker is up yet."""
    maths.shut_down()


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
@pytest.mark.timeout(60)
def test_costly_answers_are_never_paid(answer: str) -> None:
    assert compare(answer, "7")[0] in {Outcome.FAILED, Outcome.UNPARSED, Outcome.WRONG}
    maths._memory.clear()
    assert compare("2+2", "4") == (Outcome.RIGHT, "")


@pytest.mark.timeout(60)
def test_one_hanging_answer_disturbs_no_other() -> None:
    answers = [("(9^{9}!)^{9^9}" if n == 3 else f"{n}+1") for n in range(12)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(compare, answers, [str(n + 1) for n in range(12)]))
    assert [outcome for outcome, _ in found] == [Outcome.FAILED if n == 3 else Outcome.RIGHT for n in range(12)]


def _only_worker() -> maths_pool._Worker:
    maths._memory.clear()
    compare("2+2", "4")
    assert maths_pool._shared is not None
    return next(iter(maths_pool._shared._started))


@pytest.mark.usefixtures("fresh_pool")
def test_a_worker_killed_from_outside_is_replaced() -> None:
    pid = _only_worker()._process.pid
    os.kill(pid, signal.SIGKILL)
    assert compare("3+3", "6") == (Outcome.RIGHT, "")
    assert _only_worker()._process.pid != pid


def _asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    maths._memory.clear()
    asked: list[str] = []
    ask = maths_pool.ask
    monkeypatch.setattr(maths_pool, "ask", lambda answer, gold: asked.append(answer) or ask(answer, gold))
    return asked


def test_an_answer_given_again_asks_no_worker_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _asked(monkeypatch)
    for _ in range(3):
        assert compare("5+3", "8")[0] == Outcome.RIGHT
        assert compare("(9^{9}!)^{9^9}", "8")[0] == Outcome.FAILED
    assert asked == ["5+3", "(9^9!)^{9^9}"]


def test_a_verdict_that_speaks_of_the_machine_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _asked(monkeypatch)
    monkeypatch.setattr(maths_pool, "LIMIT_SECONDS", 0.0)
    assert compare("6+3", "9")[0] == Outcome.FAILED
    monkeypatch.undo()
    assert compare("6+3", "9")[0] == Outcome.RIGHT
    assert asked == ["6+3"]


def test_endless_answers_get_less_time_once_they_are_not_rare() -> None:
    patience = maths_pool._Patience()
    long, short = maths_pool.CPU_SECONDS, maths_pool.SHORT_CPU_SECONDS
    assert patience.limit() == long
    for _ in range(3):
        patience.note(long, lost=True)
    assert patience.limit() == short
    patience.note(30.0, lost=False)  # a tenth of it may be lost, beside the grace
    assert patience.limit() == long
    patience.note(2 * long, lost=True)
    assert patience.limit() == short


@pytest.mark.parametrize(
    ("answer", "gold", "outcome"),
    [
        ("(1,2)", r"(1.0,\frac{4}{2})", Outcome.RIGHT),
        (r"\left( 3 , -4 \right)", "(3, -4)", Outcome.RIGHT),
        ("(1,3)", "(1,2)", Outcome.WRONG),
        ("(1,2,3)", "(1,2)", Outcome.WRONG),
        ("[0,5)", "[0,6)", Outcome.WRONG),
        ("[0,5)", "[0,5.0)", Outcome.RIGHT),
    ],
)
def test_lists_of_plain_numbers_need_no_worker(
    monkeypatch: pytest.MonkeyPatch, answer: str, gold: str, outcome: Outcome
) -> None:
    asked = _asked(monkeypatch)
    assert compare(answer, gold)[0] == outcome
    assert asked == []


def test_brackets_that_mean_other_things_are_left_to_math_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _asked(monkeypatch)
    assert compare("(0,5]", "(0,5)")[0] == Outcome.WRONG
    assert compare(r"\{1,2\}", r"\{2,1\}")[0] == Outcome.RIGHT
    assert len(asked) == 2


@pytest.mark.usefixtures("fresh_pool")
def test_a_worker_that_stops_answering_costs_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    os.kill(_only_worker()._process.pid, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr(maths_pool, "LIMIT_SECONDS", 2.0)
        assert compare("3+3", "6") == (Outcome.FAILED, "no verdict within 2 s")
    assert compare("3+3", "6") == (Outcome.RIGHT, "")


@pytest.mark.usefixtures("fresh_pool")
def test_one_thread_starts_one_worker() -> None:
    for n in range(20):
        compare(f"{n}+1", str(n + 1))
    assert maths_pool._shared is not None
    assert len(maths_pool._shared._started) == 1


def _in_child(connection: "multiprocessing.connection.Connection") -> None:
    connection.send(compare("3+3", "6"))


@pytest.mark.usefixtures("fresh_pool")
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
        "import os; from capcurriculum import maths, maths_pool;"
        "maths_pool.LIMIT_SECONDS = 60; maths.compare('2+2', '4');"
        "print(next(iter(maths_pool._shared._started))._process.pid, flush=True); os.kill(os.getpid(), 9)"
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
