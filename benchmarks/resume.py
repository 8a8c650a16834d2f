"""How soon a build that was stopped after a million answers asks its first new question, and in how much memory.

The run has 12,500 captions whose questions two solvers answered on four arms in two orders (200,000 answers), and
50,000 problems with 16 rollouts each, and one whose rollouts are missing. Its tables are written as a build writes
them, 1,024 rows a shard. It is then resumed by the real command, twice: the first time makes what a build derives from
answers (verdicts); the second is measured, from the start of the process to its first request at the endpoint.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from PIL import Image

from capcurriculum import prompts, recipe
from capcurriculum.recipe import Recipe
from capcurriculum.rows import LETTERS, Answer, Arm, Attempt, Outcome, Purpose, Question, Stage
from capcurriculum.run import writing
from datagen.asking import ask_missing
from datagen.batched import windows
from datagen.sources import gather
from datagen.teacher import tasks
from datagen.teacher.derive import derive

CAPTIONS, PROBLEMS, K = 12_500, 50_001, 16
SOLVERS = ("one", "two")
REPLY = "<think> " + "First I look at the objects from left to right. " * 10 + "</think> \\boxed{%s}"
PATIENCE_SECONDS = 300.0


def seconds() -> float:
    """From the start of the process to its first request."""
    return _measured()[0]


def peak_mb() -> float:
    """The process's peak resident memory up to then, in MB."""
    return _measured()[1]


@cache
def _measured() -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as server:
        wanted = _recipe(Path(name), server.getsockname()[1])
        answers = _fill(Path(name), wanted)
        file = Path(name) / "recipe.yaml"
        file.write_text(recipe.dump(wanted), encoding="utf-8")
        first, _ = _until_asked(file, server)
        again, peak = _until_asked(file, server)
    print(f"{answers} answers; first start {first:.1f} s, measured one {again:.1f} s, {peak:.0f} MB")
    return again, peak


def _until_asked(file: Path, server: socket.socket) -> tuple[float, float]:
    """Seconds until the build connects to ask, and its peak memory in MB; then it is killed."""
    server.settimeout(PATIENCE_SECONDS)
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "capcurriculum.cli", "build", str(file)], stderr=subprocess.DEVNULL
    )
    try:
        connection, _ = server.accept()
        elapsed = time.perf_counter() - begun
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        connection.close()
        return elapsed, peak / 1024
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def _recipe(folder: Path, port: int) -> Recipe:
    model = {"engine": "openai", "base_urls": [f"http://127.0.0.1:{port}/v1"]}
    return recipe.parse(
        {
            "name": "large",
            "runs": str(folder / "runs"),
            "models": {name: model | {"model": name} for name in ("teacher", "policy", *SOLVERS)},
            "perception": {
                "source": {"kind": "docci", "path": str(folder / "docci")},
                "teacher": {"model": "teacher"},
                "probe": {"solvers": list(SOLVERS), "other_order": True},
            },
            "text": {"source": {"kind": "problems", "path": str(folder / "text"), "source": "sums", "license": "mit"}},
            "rollouts": {"model": "policy", "k": K},
            "filters": ["perception", "rollouts", "difficulty"],  # as in the numbers measured so far
        },
        "resume",
    )


def _fill(folder: Path, wanted: Recipe) -> int:
    """Everything of the run but the last problem's rollouts; returns how many answers it holds."""
    _sources(folder)
    with writing(wanted) as run:
        gather.gather(gather.setting(run, wanted))
        captions = list(run.captions.rows())
        run.attempts.append(_attempt(c.caption_id, number) for number, c in enumerate(captions))
        assert wanted.perception is not None
        derive(run, captions, tasks.by_caption(run.attempts.rows()), wanted.perception.teacher)
        for window in windows(_answers(run.questions.rows()), ask_missing.FLUSH_ROWS):
            run.answers.append(window)
        return run.answers.count()


def _sources(folder: Path) -> None:
    images = folder / "docci" / "images"
    images.mkdir(parents=True)
    with (folder / "docci" / "docci_descriptions.jsonlines").open("w", encoding="utf-8") as handle:
        for number in range(CAPTIONS):
            name = f"train_{number:05d}.png"
            Image.new("RGB", (64 + number // 256, 48), (number % 256, 0, 0)).save(images / name, compress_level=1)
            caption = f"Picture {number}. " + "There is a red bicycle beside a low wall. " * 18
            row = {"example_id": f"train_{number:05d}", "split": "train", "image_file": name, "description": caption}
            handle.write(json.dumps(row) + "\n")
    (folder / "text").mkdir()
    with (folder / "text" / "problems.jsonl").open("w", encoding="utf-8") as handle:
        for number in range(PROBLEMS):
            problem = f"A train of {number} wagons loses {number // 2} of them. " + "It goes on its way. " * 12
            handle.write(json.dumps({"problem": f"{problem}How many are left?", "answer": str(number)}) + "\n")


def _attempt(caption_id: str, number: int) -> Attempt:
    options = {letter: f"{letter.lower()} thing {number}" for letter in LETTERS}
    text = json.dumps({"question": f"What stands at place {number}?", "options": options, "answer": "A"})
    return Attempt(f"r{caption_id}", caption_id, 1, "spatial", text, "", "stop", 300, 60, "teacher", "digest")


def _answers(questions: Iterable[Question]) -> Iterator[Answer]:
    """Whole sets of answers, of every question but the last problem."""
    problems = 0
    for question in questions:
        if question.stage == Stage.PERCEPTION:
            arms = (Arm.IMAGE, Arm.CAPTION, Arm.BLIND, Arm.SWAPPED)
            yield from (
                _answer(question, solver, arm, order=order) for solver in SOLVERS for arm in arms for order in (0, 1)
            )
            continue
        problems += 1
        if problems < PROBLEMS:
            yield from (_answer(question, "policy", Arm.TEXT, rollout=k) for k in range(K))


def _answer(question: Question, solver: str, arm: Arm, rollout: int = 0, order: int = 0) -> Answer:
    # Right from the image, so that the perception rule drops it and no rollout of it is wanted.
    right = solver != "policy" or rollout % 2 == 0
    answer = question.answer if right else "0"
    return Answer(
        f"{question.question_id[:8]}{arm[:2]}{order}{rollout:03d}",
        question.question_id,
        solver,
        Purpose.ROLLOUT if solver == "policy" else Purpose.PROBE,
        arm,
        rollout,
        REPLY % answer,
        answer,
        Outcome.RIGHT if right else Outcome.WRONG,
        "stop",
        400,
        130,
        prompts.digest("system"),
        order=order,
    )
