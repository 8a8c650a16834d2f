"""Pushing 2,000 records with pictures to a real Argilla, and pulling 10,000 responses back, on this machine.

Server, database, search engine and client share the two cores. Pictures are scenes of 512 by 512 pixels with noise;
five people have answered every record, so that a pull finds 10,000 responses. Memory is that of the client's process,
which does both for a small sample first: what more it needs for the large one is its growth.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import review_world
from benchmarks.processes import answer_of, peak_mb
from benchmarks.review_world import World, looked
from capcurriculum.render.progress import Display
from capcurriculum.run import writing
from datagen.batched import windows
from datagen.micro.scenes import named_seed
from review import design, sample
from review.argilla import connection, pull, push
from review.argilla.connection import Connection
from review.population import population
from review.sample import Design

RECORDS, SMALL, PEOPLE, SIDE = 2_000, 250, 5, 512


def rows_per_s() -> float | None:
    """Records pushed in a second, pictures read, shrunk and sent; None where no server can be installed."""
    return (_measured() or {}).get("rows_per_s")


def pull_seconds() -> float | None:
    """Seconds until 10,000 responses are reviews in the run."""
    return (_measured() or {}).get("pull_seconds")


def growth_mb() -> float | None:
    """How much more memory the client needs at its peak for 2,000 records than for 250."""
    return (_measured() or {}).get("growth_mb")


@cache
def _measured() -> Mapping[str, float] | None:
    found: Mapping[str, float] | None = answer_of("benchmarks.review_server")
    return found


def _push(world: World, at: Connection, size: int) -> float:
    start = time.monotonic()
    with writing(world.recipe) as run:
        drawn = design.draw(population(run, world.recipe), Design("random", size=size), sample.load(run))
        sample.save(run, drawn)
        push.push(run, world.recipe, drawn, at, push.Wanted(PEOPLE, create_workspace=True), Display())
    return time.monotonic() - start


def _pull(world: World, at: Connection) -> float:
    start = time.monotonic()
    with writing(world.recipe) as run:
        pull.pull(run, world.recipe, at, Display())
    return time.monotonic() - start


def _answer(world: World, at: Connection) -> None:
    """Five people's responses to every record without one, put there by the owner, as the server allows."""
    there = pull.dataset(world.recipe, at)
    known = at.users() or {}
    people = [key for key, name in known.items() if name.startswith("person")]
    for number in range(len(people), PEOPLE):
        words = {"username": f"person{number}", "first_name": "P", "password": "long enough", "role": "annotator"}
        people.append(str(at.call("POST", "users", json=words)["id"]))
    asked = {q.question_id: q for q in world.run.questions.rows()}

    def said(key: str, person: str) -> dict[str, Any]:
        found = looked(asked[key], world.truth[key], named_seed("benchmark", key, person))
        values: dict[str, Any] = {"right": found.right, "quality": found.quality, "kind": found.kind}
        values |= {"choice": found.choice} if found.choice else {}
        told = {name: {"value": value} for name, value in values.items()}
        return {"user_id": person, "status": "submitted", "values": told}

    answered = {review.question_id for review in world.run.reviews.rows()}
    asked_for = [one for one in push.pushed(world.run, there.id).values() if one.question_id not in answered]
    for part in windows(asked_for, 100):
        items = [
            {"external_id": one.external_id, "responses": [said(one.question_id, person) for person in people]}
            for one in part
        ]
        at.call("PUT", f"datasets/{there.id}/records/bulk", json={"items": items})


def measured(folder: Path, python: Path | None) -> dict[str, float] | None:
    """Both, after a small sample of the same run; None where no server can be installed."""
    from tools import review_server

    world = review_world.made(folder, RECORDS + 100, side=SIDE)
    try:
        with review_server.serving(folder / "argilla", python) as server:
            os.environ |= {"ARGILLA_API_URL": server.url, "ARGILLA_API_KEY": server.login.api_key}
            at = connection.connect(patience=600)
            _push(world, at, SMALL)
            _answer(world, at)
            _pull(world, at)
            before = peak_mb()
            seconds = _push(world, at, RECORDS)
            _answer(world, at)
            pulled = _pull(world, at)
            count = world.run.reviews.count()
    except review_server.ServerError as error:
        print(error, file=sys.stderr)
        return None
    if count != RECORDS * PEOPLE:
        raise RuntimeError(f"{count} reviews were pulled of {RECORDS * PEOPLE}")
    rate = (RECORDS - SMALL) / seconds
    return {"rows_per_s": rate, "pull_seconds": pulled, "growth_mb": peak_mb() - before, "peak_mb": peak_mb()}


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.review_server", description=__doc__)
    parser.add_argument("--python", type=Path, default=os.environ.get("REVIEW_SERVER_PYTHON"))
    python = parser.parse_args().python
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), python and Path(python))))


if __name__ == "__main__":
    main()
