"""Supervision, with real process trees: success, crash, hang, fatal line, strays, Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from capcurriculum.errors import TrainerError
from training.canary import record
from training.on_verl import environment
from training.supervise import metrics, processes, watchdog
from training.supervise import supervisor as launch

#: A trainer that starts a grandchild which leaves its process group and session, as Ray's processes do.
TREE = """
import json, os, subprocess, sys, time
stray = subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); time.sleep(600)"])
print("stray", stray.pid, flush=True)
def step(n):
    with open(os.environ["VERL_FILE_LOGGER_PATH"], "a") as f:
        f.write(json.dumps({"step": n, "data": {"critic/score/mean": n / 10}}) + "\\n")
"""


@pytest.fixture(autouse=True)
def seldom_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor in this process looks twenty times a second."""
    monkeypatch.setattr(watchdog, "POLL", 0.05)


def job(
    folder: Path, body: str, stall: float = 60, steps: list[Mapping[str, Any]] | None = None, limit: float = 60
) -> launch.Job:
    seen = steps if steps is not None else []
    environ = environment.trainer_environment("cuda")  # as on a GPU: no patches
    return launch.Job([sys.executable, "-c", TREE + body], environ, folder, stall, limit, seen.append)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def nothing_left(folder: Path) -> bool:
    strays = [
        int(line.split()[1]) for line in (folder / "verl.log").read_text().splitlines() if line.startswith("stray")
    ]
    return bool(strays) and not any(alive(pid) for pid in strays) and not launch.scratch(folder).exists()


def test_success_reports_each_step_and_leaves_nothing(tmp_path: Path) -> None:
    steps: list[Mapping[str, Any]] = []
    launch.run(job(tmp_path, "step(1); step(2)", steps=steps))
    assert [step["step"] for step in steps] == [1, 2]
    assert nothing_left(tmp_path)


def test_an_error_is_told_and_not_its_echo_in_other_processes(tmp_path: Path) -> None:
    lines = [
        "(Server pid=1) (EngineCore pid=2) ERROR 11-30 04:12:43 [core.py:1351] RuntimeError: Unsupported head_dim=24",
        "(Server pid=1) vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue.",
        "ValueError: Received an empty list as keys.",
        "ray.exceptions.RayTaskError(ValueError): ray::TaskRunner.run()",
    ]
    with pytest.raises(TrainerError, match=r"ended with code 1: RuntimeError: Unsupported head_dim=24; its log"):
        launch.run(job(tmp_path, f"print({chr(10).join(lines)!r}, flush=True); sys.exit(1)"))


def test_a_crash_says_its_last_error_and_where_the_log_is(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=r"ended with code 1: ValueError: no such knob; its log is .*verl\.log\.$"):
        launch.run(job(tmp_path, "raise ValueError('no such knob')"))
    assert nothing_left(tmp_path)


def test_a_kill_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=r"was killed by SIGKILL; its log is"):
        launch.run(job(tmp_path, "os.kill(os.getpid(), 9)"))
    assert nothing_left(tmp_path)


LOOK = """
def look(state):
    with open("canary.jsonl", "a") as f:
        f.write(json.dumps({"step": 0, "state": state, "sentence": "before the first step it is " + state}) + "\\n")
"""


def test_looks_of_the_canary_are_told_once_and_a_fault_ends_the_trainer(tmp_path: Path) -> None:
    told: list[str] = []

    def on_look(look: Mapping[str, Any]) -> None:
        told.append(record.shown(look, "text", tmp_path / record.FILE))

    def run(body: str) -> None:
        launch.run(replace(job(tmp_path, LOOK + body), on_look=on_look))

    run("look('alike')")
    assert told == ["text: canary: before the first step it is alike"]
    with pytest.raises(
        TrainerError, match=r"^The pixel canary ended text: before the first step it is fault; see that"
    ):
        run("look('undecided'); look('fault'); time.sleep(600)")
    assert [line.split()[-1] for line in told] == ["alike", "undecided"]  # those of an earlier attempt are not repeated
    assert nothing_left(tmp_path)


def test_silence_is_a_stall(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=r"said nothing for 0\.03 minutes .* run again to resume"):
        launch.run(job(tmp_path, "time.sleep(600)", stall=1.8))
    assert nothing_left(tmp_path)


def test_a_step_that_does_not_end_is_a_stall_though_the_trainer_talks(tmp_path: Path) -> None:
    body = "step(1)\ndef waiting():\n    while True:\n        print('alive', flush=True); time.sleep(0.2)\nwaiting()"
    with pytest.raises(TrainerError, match=r"finished no step for 0\.03 minutes .* raise training\.step_minutes"):
        launch.run(job(tmp_path, body, limit=1.8))
    stacks = (tmp_path / "stacks.txt").read_text()
    assert "in waiting" in stacks  # the function in which the trainer stood
    assert stacks.count("Current thread") + stacks.count("Thread 0x") >= 2  # the stray process too
    assert nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "(Server pid=1) vllm.EngineDeadError: EngineCore encountered an issue",
            "vllm.EngineDeadError: EngineCore encountered an issue",
        ),
        (
            "(raylet) [2026-11-26 09:10:54,123 E 1 1] (raylet) node_manager.cc:3517: 4 Workers (tasks / actors) killed "
            "due to memory pressure (OOM), 0 Workers crashed due to other reasons at node (ID: 22)",
            r"4 Workers \(tasks / actors\) killed due to memory pressure \(OOM\)",
        ),
    ],
)
def test_a_fatal_line_ends_a_trainer_that_would_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, said: str
) -> None:
    monkeypatch.setattr(watchdog, "FATAL_GRACE", 0.2)
    with pytest.raises(TrainerError, match=rf"broke down: {said}; its log is"):
        launch.run(job(tmp_path, f"print({line!r}, flush=True); time.sleep(600)"))
    assert nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("number", "second"),
    [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGHUP)],
)
def test_ctrl_c_and_an_impatient_second_one_end_the_tree(
    tmp_path: Path, number: signal.Signals, second: signal.Signals
) -> None:
    script = (
        "import sys; from pathlib import Path; import tests.training.supervise.test_supervisor as t\n"
        "t.launch.run(t.job(Path(sys.argv[1]), 'time.sleep(600)'))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as supervisor:
        wait_for(lambda: "stray" in (tmp_path / "verl.log").read_text() if (tmp_path / "verl.log").exists() else False)
        supervisor.send_signal(number)
        time.sleep(0.1)
        supervisor.send_signal(second)
        ended = b"KeyboardInterrupt" if number == signal.SIGINT else b"signals.Ended: SIGTERM"
        assert ended in supervisor.communicate(timeout=60)[1]
    assert nothing_left(tmp_path)


def test_a_killed_supervisor_takes_the_trainer_along_and_the_next_run_ends_its_strays(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; import tests.training.supervise.test_supervisor as t\n"
        "t.launch.run(t.job(Path(sys.argv[1]), 'time.sleep(600)'))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command) as supervisor:
        wait_for(lambda: "stray" in (tmp_path / "verl.log").read_text() if (tmp_path / "verl.log").exists() else False)
        supervisor.kill()
    stray = int((tmp_path / "verl.log").read_text().split()[1])
    assert alive(stray)  # only the direct child can be tied to its parent's life
    launch.run(job(tmp_path, "step(1)"))
    assert not alive(stray)
    assert nothing_left(tmp_path)


def wait_for(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


#: Deaf to SIGTERM, with a semaphore by name, which a killed process leaves in shared memory.
SEMAPHORE = """
import multiprocessing, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
held = multiprocessing.get_context("spawn").Semaphore()
print(held._semlock.name, flush=True)
time.sleep(600)
"""


def test_what_is_killed_leaves_nothing_in_shared_memory(tmp_path: Path) -> None:
    environ = os.environ | {processes.MARKER: str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", SEMAPHORE], env=environ, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        file = Path("/dev/shm", f"sem.{child.stdout.readline().strip().removeprefix('/')}")
        assert file.exists()
        assert processes.end(tmp_path, grace_seconds=0.2) == 2
    assert not file.exists()


def test_other_processes_are_never_ours(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as other:
        assert other.pid not in processes.belonging(tmp_path)
        other.kill()


def test_scratch_is_short_enough_for_a_socket() -> None:
    deep = Path("/x" * 200)
    socket = launch.scratch(deep) / "ray/session_2026-11-22_16-00-00_000000_1234567/sockets/plasma_store"
    assert len(str(socket)) < 107
    assert launch.scratch(deep) == launch.scratch(deep) != launch.scratch(Path("/y"))


def test_a_tail_waits_for_whole_lines(tmp_path: Path) -> None:
    file = tmp_path / "log"
    tail = metrics.Tail(file)
    assert tail.lines() == []
    file.write_text("a\nb")
    assert tail.lines() == ["a"]
    file.write_text("a\nbc\n")
    assert tail.lines() == ["bc"]


def test_the_cpu_environment_is_only_for_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setenv("PYTHONPATH", "/mine")
    cpu, cuda = environment.trainer_environment("cpu"), environment.trainer_environment("cuda")
    assert cpu["VERL_PLATFORM"] == "cpu"
    assert cpu["PYTHONPATH"].split(":")[0].endswith("training/on_verl/bootstrap")
    assert cpu["PYTHONPATH"].endswith(":/mine")
    assert "RAY_ADDRESS" not in cpu
    assert cuda["RAY_ADDRESS"] == "10.0.0.1:6379"
    assert "VERL_PLATFORM" not in cuda
    assert cuda["PYTHONPATH"].split(":")[0].endswith("training/on_verl/bootstrap")
