"""A finished build of any size without any model: tables as a run has them, and the same rows as JSON lines."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from capcurriculum import recipe
from capcurriculum.ledger.verdicts import in_force
from capcurriculum.recipe import Recipe
from capcurriculum.run import Run
from capcurriculum.tables import arrow_schema

K = 16
PROBLEM_BYTES = 500
CHUNK = 100_000
STAGES = ("perception", "text", "visual")
SKILLS = ("spatial", "attribute", "count", "algebra", "geometry")
ANSWERS = ("A", "B", "C", "D", "12", "3/4", "x+1", "sqrt(2)")
#: What a script needs of an answer; the tables have all columns, and polars reads only these.
ANSWER_COLUMNS = ("question_id", "rollout", "answer", "outcome")


def some_recipe(folder: Path) -> Recipe:
    """A recipe of three stages that a run in `folder` could have been made with."""
    model: dict[str, Any] = {"engine": "transformers", "model": "micro:start"}
    problems = {"source": {"kind": "problems", "path": str(folder), "license": "mit"}}
    captions = {"source": {"kind": "docci", "path": str(folder)}, "teacher": {"model": "policy"}}
    data = {
        "name": folder.name,
        "runs": str(folder.parent),
        "models": {"policy": model},
        "perception": captions | {"probe": {"solvers": ["policy"]}},
        "text": problems,
        "visual": problems,
        "rollouts": {"model": "policy", "k": K},
        "filters": ["perception", "rollouts", "difficulty"],  # as in the numbers measured so far
    }
    return recipe.parse(data, "benchmark")


def write(folder: Path, rows: int, json_lines: Path | None = None, images: int = 0) -> None:
    """Tables of a run of `rows` kept questions with K answers each, and two files of JSON lines if wanted.

    With `images`, every row has a picture, one of so many files; else pictures are named that nobody reads.
    """
    run, rng = Run(folder), np.random.default_rng(rows)
    judges = in_force(some_recipe(folder)).select("filter", "stage", "params", keep=True)
    for table in (run.questions, run.answers, run.verdicts):
        table.folder.mkdir(parents=True)
    for number, count in enumerate(_chunks(rows)):
        questions = _questions(count, rng)
        if images:
            names = [f"images/{place:06d}.jpg" for place in rng.integers(0, images, count)]
            questions = questions.with_columns(image_path=pl.Series(names), image_id=questions["question_id"])
        answers = _answers(questions["question_id"], rng)
        verdicts = questions.select("question_id", "stage").join(judges, on="stage").with_columns(reason=pl.lit("kept"))
        for table, frame in ((run.questions, questions), (run.answers, answers), (run.verdicts, verdicts)):
            _whole(frame, table.record).write_parquet(table.folder / f"part-{number:06d}.parquet")
        if json_lines:
            _append(json_lines / "questions.jsonl", questions)
            _append(json_lines / "answers.jsonl", answers.select(ANSWER_COLUMNS))


def _chunks(rows: int) -> Iterator[int]:
    yield from (min(CHUNK, rows - start) for start in range(0, rows, CHUNK))


def _questions(count: int, rng: np.random.Generator) -> pl.DataFrame:
    stages = rng.choice(np.array(STAGES), count)
    images = [f"{number:016x}" for number in rng.integers(0, 2**63, count)]
    return pl.DataFrame(
        {
            "question_id": [f"{number:016x}" for number in rng.integers(0, 2**63, count)],
            "stage": stages,
            "problem": _texts(count, rng),
            "answer": rng.choice(np.array(ANSWERS), count),
            "options": pl.Series([["one", "two", "three", "four"]]).new_from_index(0, count),
            "skill": rng.choice(np.array(SKILLS), count),
            "image_id": [image if stage != "text" else "" for image, stage in zip(images, stages, strict=True)],
            "image_path": [
                f"images/{name}.jpg" if stage != "text" else "" for name, stage in zip(images, stages, strict=True)
            ],
            "source": [f"source of {stage}" for stage in stages],
            "license": "mit",
        }
    )


def _texts(count: int, rng: np.random.Generator) -> list[str]:
    """Stretches of a long text of random words."""
    words = np.array([f"{number:x}".translate(str.maketrans("0123456789", "ghijklmnop")) for number in range(30_000)])
    text = " ".join(rng.choice(words, 2_000_000))
    return [text[start : start + PROBLEM_BYTES] for start in rng.integers(0, len(text) - PROBLEM_BYTES, count)]


def _answers(ids: pl.Series, rng: np.random.Generator) -> pl.DataFrame:
    """K answers to each, right as often as a rate of the question's own says, in an order that no question keeps."""
    count = len(ids) * K
    place = rng.permutation(count)
    right = rng.random(count) < np.repeat(rng.random(len(ids)), K)
    return pl.DataFrame(
        {
            "question_id": ids.gather(place // K),
            "rollout": place % K,
            "answer": rng.choice(np.array(ANSWERS), count),
            "outcome": np.where(right[place], "right", "wrong"),
            "purpose": "rollout",
        }
    )


def _whole(frame: pl.DataFrame, record: Any) -> pl.DataFrame:
    """With every column that the table has; those that nobody reads here are empty."""
    empty = pl.DataFrame(pl.from_arrow(arrow_schema(record).empty_table())).schema
    rest = [pl.lit(None, dtype=empty[f.name]).alias(f.name) for f in fields(record) if f.name not in frame.columns]
    return frame.with_columns(rest).select(list(empty))


def _append(path: Path, frame: pl.DataFrame) -> None:
    with path.open("ab") as file:
        frame.write_ndjson(file)
