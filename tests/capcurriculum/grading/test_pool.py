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

from capcurriculum.grading.comparing import compare
from capcurriculum.grading.workers import algebra, pool
from capcurriculum.rows import Outcome

pytestmark = pytest.mark.slow  # workers are ended, and each new one imports sympy

#: Gold answers that this package's own reader leaves to math-verify, with a right answer and one that never ends.
INTEGRAL = r"\int_0^1 2x \, dx"
ENDLESS = r"\sum_{k=1}^{8000} \sqrt{k}"


@pytest.fixture(scope="module", autouse=True)
def processor_limit_only() -> Iterator[None]:
    """A wall limit that a busy machine does not reach: the processor limit, a low one, is what ends a hang here."""
    algebra.shut_down()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "LIMIT_SECONDS", 40.0)
        patch.setattr(pool, "CPU_SECONDS", 0.2)
        patch.setattr(pool, "ALONE_CPU_SECONDS", 1.0)
        yield
        algebra.shut_down()


@pytest.fixture
def fresh_pool() -> None:
    """No worker is up yet."""
    algebra.shut_down()


def integral(upper: int) -> tuple[str, str]:
    """A right answer and a gold answer that needs a worker."""
    return str(upper * upper), rf"\int_0^{{{upper}}} 2x \, dx"


@pytest.mark.timeout(60)
def test_one_hanging_answer_disturbs_no_other() -> None:
    pairs = [(ENDLESS, INTEGRAL) if n == 3 else integral(n + 1) for n in range(8)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda pair: compare(*pair), pairs))
    assert [outcome for outcome, _ in found] == [Outcome.FAILED if n == 3 else Outcome.RIGHT for n in range(8)]


def _only_worker() -> pool._Worker:
    algebra._memory.clear()
    compare(*integral(2))
    assert pool._shared is not None
    return next(iter(pool._shared._started))


@pytest.mark.usefixtures("fresh_pool")
def test_a_worker_killed_from_outside_is_replaced() -> None:
    pid = _only_worker()._process.pid
    os.kill(pid, signal.SIGKILL)
    assert compare(*integral(3)) == (Outcome.RIGHT, "")
    assert _only_worker()._process.pid != pid


def _asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    algebra._memory.clear()
    asked: list[str] = []
    ask = pool.ask
    monkeypatch.setattr(pool, "ask", lambda answer, gold: asked.append(answer) or ask(answer, gold))
    return asked


def test_an_answer_given_again_asks_no_worker_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _asked(monkeypatch)
    for _ in range(3):
        assert compare("1", INTEGRAL)[0] == Outcome.RIGHT
        assert compare(ENDLESS, INTEGRAL)[0] == Outcome.FAILED
    assert asked == ["1", ENDLESS]


def test_a_verdict_that_speaks_of_the_machine_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _asked(monkeypatch)
    monkeypatch.setattr(pool, "LIMIT_SECONDS", 0.0)
    monkeypatch.setattr(pool, "ALONE_LIMIT_SECONDS", 0.0)
    assert compare("1", INTEGRAL)[0] == Outcome.FAILED
    monkeypatch.undo()
    assert compare("1", INTEGRAL)[0] == Outcome.RIGHT
    assert asked == ["1"]


def test_what_ran_out_of_time_is_asked_once_more_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    algebra._memory.clear()
    monkeypatch.setattr(pool, "CPU_SECONDS", 0.0001)
    assert compare("1", INTEGRAL) == (Outcome.RIGHT, "")


@pytest.mark.usefixtures("fresh_pool")
@pytest.mark.timeout(90)
def test_endless_answers_before_it_change_no_verdict() -> None:
    for n in range(6):
        assert compare(rf"\sum_{{k=1}}^{{{8000 + n}}} \sqrt{{k}}", INTEGRAL)[0] is Outcome.FAILED
    assert compare(*integral(4)) == (Outcome.RIGHT, "")
    assert compare("17", integral(4)[1])[0] is Outcome.WRONG


def test_what_math_verify_lets_through_is_not_taken() -> None:
    tiny = r"\int_0^1 10^{-30} \, dx"
    assert compare("0", tiny)[0] is not Outcome.RIGHT
    assert compare(r"2\cdot 10^{-30}", tiny)[0] is not Outcome.RIGHT
    assert compare("1=2=3=1", INTEGRAL)[0] is not Outcome.RIGHT
    assert compare(r"\int_A^B X \, dX", r"\int_a^b x \, dx")[0] is not Outcome.RIGHT


@pytest.mark.usefixtures("fresh_pool")
def test_a_worker_that_stops_answering_costs_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    os.kill(_only_worker()._process.pid, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr(pool, "LIMIT_SECONDS", 2.0)
        assert compare(*integral(3)) == (Outcome.RIGHT, "")  # by the worker that replaced it
    assert compare(*integral(5)) == (Outcome.RIGHT, "")


@pytest.mark.usefixtures("fresh_pool")
def test_one_thread_starts_one_worker() -> None:
    for n in range(1, 8):
        compare(*integral(n))
    assert pool._shared is not None
    assert len(pool._shared._started) == 1


def _in_child(connection: "multiprocessing.connection.Connection") -> None:
    connection.send(compare(*integral(3)))


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
    assert compare(*integral(4)) == (Outcome.RIGHT, "")
    assert _only_worker()._process.pid == before


def test_workers_end_with_their_parent() -> None:
    script = (
        "import os; from capcurriculum.grading import comparing; from capcurriculum.grading.workers import pool;"
        "pool.LIMIT_SECONDS = 60; comparing.compare('1', r'\\int_0^1 2x dx');"
        "print(next(iter(pool._shared._started))._process.pid, flush=True); os.kill(os.getpid(), 9)"
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
    thread = threading.Thread(target=lambda: found.append(compare(*integral(5))[0]))
    thread.start()
    thread.join()
    assert found == [Outcome.RIGHT]
