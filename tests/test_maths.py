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

from capcurriculum import maths
from capcurriculum.maths import compare
from capcurriculum.rows import Outcome


@pytest.fixture(scope="module", autouse=True)
def processor_limit_only() -> Iterator[None]:
    """A wall limit that a busy machine does not reach: the processor limit is what ends a hang here."""
    maths.shut_down()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maths, "LIMIT_SECONDS", 40.0)
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
    assert compare("2+2", "4") == (Outcome.RIGHT, "")


@pytest.mark.timeout(60)
def test_one_hanging_answer_disturbs_no_other() -> None:
    answers = [("(9^{9}!)^{9^9}" if n == 3 else f"{n}+1") for n in range(12)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(compare, answers, [str(n + 1) for n in range(12)]))
    assert [outcome for outcome, _ in found] == [Outcome.FAILED if n == 3 else Outcome.RIGHT for n in range(12)]


def _only_worker() -> maths._Worker:
    compare("2+2", "4")
    assert maths._shared is not None
    return next(iter(maths._shared._started))


@pytest.mark.usefixtures("fresh_pool")
def test_a_worker_killed_from_outside_is_replaced() -> None:
    pid = _only_worker()._process.pid
    os.kill(pid, signal.SIGKILL)
    assert compare("3+3", "6") == (Outcome.RIGHT, "")
    assert _only_worker()._process.pid != pid


@pytest.mark.usefixtures("fresh_pool")
def test_a_worker_that_stops_answering_costs_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    os.kill(_only_worker()._process.pid, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr(maths, "LIMIT_SECONDS", 2.0)
        assert compare("3+3", "6") == (Outcome.FAILED, "no verdict within 2 s")
    assert compare("3+3", "6") == (Outcome.RIGHT, "")


@pytest.mark.usefixtures("fresh_pool")
def test_one_thread_starts_one_worker() -> None:
    for n in range(20):
        compare(f"{n}+1", str(n + 1))
    assert maths._shared is not None
    assert len(maths._shared._started) == 1


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
        "import os; from capcurriculum import maths; maths.LIMIT_SECONDS = 60; maths.compare('2+2', '4');"
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
