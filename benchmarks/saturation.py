"""Does our whole step keep vLLM as busy as one raw call does? Measured on the CPU with the micro model.

The same rollouts are made in turns by one `LLM.chat` call over conversations that are ready, pictures opened, and by
our step from the questions to shards on disk (rendering requests, opening pictures, refilling the queue, grading,
writing). Both use one engine, so loading is no part of it.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks.processes import answer_of
from capcurriculum import prompts
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.models import ModelSection, VLLMSection
from capcurriculum.rows import LETTERS, Purpose, Question, Sampling
from capcurriculum.run import Run
from datagen.engines.vllm_engine import VLLMEngine, conversation
from datagen.micro import captions, export, questions
from datagen.micro.scenes import named_seed
from datagen.rollouts import asked_of
from datagen.setting import Setting
from datagen.solver import Asked, Solver, home_arm, request

QUESTIONS, K, ROUNDS, SINGLE = 96, 16, 5, 4
SECTION = ModelSection(
    engine="vllm", model="micro:start", max_n=K, vllm=VLLMSection(max_model_len=1024, max_num_seqs=128, in_flight=2048)
)
SAMPLING = Sampling(temperature=1.0, max_tokens=96)


def ratio() -> float:
    """Our step's time over that of the raw call made just before, the median of five."""
    return _measured()["ratio"]


def speedup() -> float:
    """Replies a second of our step over those of asking one question at a time with K copies, as the release does."""
    return _measured()["speedup"]


@cache
def _measured() -> dict[str, float]:
    """Both numbers, from a process of their own, since vLLM keeps what it takes."""
    return dict(answer_of("benchmarks.saturation"))


def main() -> None:
    """Measure, and print the numbers as the last line."""
    with tempfile.TemporaryDirectory() as folder, VLLMEngine(SECTION) as engine:
        world = export.export(Path(folder) / "world", QUESTIONS)
        asked = [Asked(q, home_arm(q), k) for q in _questions(world) for k in range(K)]
        _alternate(engine, Path(folder), world, asked[: 8 * K], rounds=1)  # warm-up
        raw, ours = _alternate(engine, Path(folder), world, asked, ROUNDS)
        single = _timed(lambda: _one_at_a_time(engine, world, asked[: SINGLE * K]))
    speed = (single / (SINGLE * K)) / (statistics.median(ours) / len(asked))
    print(f"raw {sorted(raw)}", f"ours {sorted(ours)}", file=sys.stderr)
    # Of neighbours in time, as the machine is faster at one time than at another.
    ratios = [our / their for our, their in zip(ours, raw, strict=True)]
    print(json.dumps({"ratio": statistics.median(ratios), "speedup": speed}))


def _alternate(
    engine: VLLMEngine, folder: Path, world: Path, asked: Sequence[Asked], rounds: int
) -> tuple[list[float], list[float]]:
    """Seconds of the raw calls and of our steps."""
    raw: list[float] = []
    ours: list[float] = []
    for number in range(rounds):
        turns, parameters = _prepared(world, asked)
        raw.append(_timed(lambda: engine.llm.chat(turns, parameters, use_tqdm=False)))  # noqa: B023 - called at once
        run = Run(folder / f"run-{len(asked)}-{number}")
        run.path.mkdir()
        ours.append(_timed(lambda: _step(run, world, asked, engine)))  # noqa: B023 - called at once
    return raw, ours


def _step(run: Run, world: Path, asked: Sequence[Asked], engine: VLLMEngine) -> None:
    recipe = Recipe.model_construct(models={"policy": SECTION})
    at = Setting(run, recipe, {"perception": world})
    with Solver(at, "policy", SECTION, SAMPLING, Purpose.ROLLOUT, engine) as solver:
        solver.ask_all([a.question for a in asked if not a.rollout], partial(asked_of, indices=range(K)))
    assert run.answers.count() == len(asked)


def _prepared(world: Path, asked: Sequence[Asked], n: int = K) -> tuple[list[Any], Any]:
    from vllm import SamplingParams

    first = [item for item in asked if item.rollout == 0]
    requests = [request(item, SECTION.model, SAMPLING, {"perception": world}) for item in first]
    return [conversation(r, SECTION) for r in requests], SamplingParams(n=n, temperature=1.0, max_tokens=96)


def _one_at_a_time(engine: VLLMEngine, world: Path, asked: Sequence[Asked]) -> None:
    """Every reply a call of its own, as the released pipeline asks."""
    turns, parameters = _prepared(world, asked, n=1)
    for one in turns:
        for _ in range(K):
            engine.llm.chat([one], parameters, use_tqdm=False)


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _questions(world: Path) -> list[Question]:
    """One question a picture."""
    found = []
    for line in (world / export.DESCRIPTIONS).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rng = named_seed("saturation", row["example_id"])
        drawn = questions.ask(captions.read(row["description"]), rng)
        choices = questions.options(drawn, rng)
        problem = prompts.choice(drawn.text, choices)
        answer = next(letter for letter in LETTERS if choices[letter] == drawn.answer)
        image = f"images/{row['image_file']}"
        found.append(
            Question(
                Question.key("perception", row["example_id"], problem, answer), "perception", problem, answer,
                tuple(choices.values()), drawn.skill, row["example_id"], image, "", "", "scenes", "apache-2.0",
            )
        )  # fmt: skip
    return found


if __name__ == "__main__":
    main()
