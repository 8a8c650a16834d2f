"""A build over a world whose truth is known, half of its captions lying about one attribute, its teacher scripted.

The pictures, the probe, the auditors, the filters and the tables are the real ones. Scripted is the teacher alone, on a
loopback endpoint: it asks a random question about what the caption names, answers it by the caption, and marks a wrong
option in one question of twenty. Solvers and auditors are micro models, which err as their weights make them err.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from capcurriculum import recipe
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.rows import LETTERS, Question
from capcurriculum.run import Run
from curricula.build import build
from datagen.micro import captions, questions
from datagen.micro.export import TRUTH
from datagen.micro.scenes import Thing, named_seed

LIES = 0.5
WRONG_KEYS = 0.05


@dataclass(frozen=True, slots=True)
class Setup:
    """Who answers and who checks, over how many captions of which world; `start` sees worse than the other two.

    `votes` are those of an auditor that answers, `descriptions` those of one that describes. Where filters on the probe
    `alone` are measured too, it asks in both orders of the options. Auditors are asked about all rows with wrong labels
    and `good` of the others, which count for all of these (None: about all).
    """

    name: str
    solvers: tuple[str, ...]
    auditors: tuple[str, ...]
    captions: int
    votes: int
    arms: tuple[str, ...] = ("image", "caption", "blind", "swapped")
    seed: int = 11
    descriptions: int = 3
    alone: bool = True
    good: int | None = None


STRONGER = Setup("stronger", ("start",), ("solver_a", "solver_b"), 2400, 8)
EQUAL = Setup("equal", ("solver_a", "solver_b"), ("solver_a", "solver_b", "start"), 1600, 8, ("image", "caption"))
#: The same models over another world, and of all sets only those with auditors.
LOOKING = Setup(
    "looking", STRONGER.solvers, STRONGER.auditors, 1600, 8, ("image", "caption"), 37, 6, alone=False, good=220
)


@dataclass(frozen=True, slots=True)
class Row:
    """What is true of one question: whether its caption lies, and whether its marked answer is true in the image.

    A `void` one asks about what is not there.
    """

    lied: bool
    true: bool
    void: bool


def built(setup: Setup, folder: Path) -> tuple[Run, Recipe]:
    """The finished run, made in `folder` or gone on with there."""
    with _teacher() as url:
        wanted = recipe_of(setup, folder, url)
        return build(wanted, Display()), wanted


def recipe_of(setup: Setup, folder: Path, url: str) -> Recipe:
    """The run's recipe: it probes every question, and leaves auditors to `benchmarks.noise_audit`."""
    names = sorted({*setup.solvers, *setup.auditors, "reader"})
    models: dict[str, Any] = {name: {"engine": "transformers", "model": f"micro:{name}"} for name in names}
    models["teacher"] = {"engine": "openai", "model": "scripted", "base_urls": [url]}
    sampling = {"max_tokens": 96}
    data = {
        "name": f"{setup.name}-{setup.seed}",
        "seed": 5,
        "runs": str(folder),
        "models": models,
        "perception": {
            "source": {"kind": "scenes", "items": setup.captions, "seed": setup.seed, "lies": LIES},
            "teacher": {"model": "teacher"},
            "probe": {
                "solvers": setup.solvers,
                "arms": setup.arms,
                "other_order": setup.alone,
                "sampling": sampling,
            },
        },
        "rollouts": {"model": setup.solvers[0], "k": 1, "sampling": sampling},
        "filters": ["perception", "rollouts"],
    }
    return recipe.parse(data, setup.name)


def truth(run: Run) -> Mapping[str, Row]:
    """Question id -> what is true of it, from the scenes themselves.

    A marked answer is true if the image gives it to the question; it is false too where the image has no answer, as
    when the caption tells of an object that is not there.
    """
    found = {}
    for question, things, lied in _facts(run):
        marked = question.options[LETTERS.index(question.answer)]
        gold = questions.gold(things, question.text)
        found[question.question_id] = Row(lied, gold == marked, gold is None)
    return found


def shown(run: Run) -> Mapping[str, Sequence[Thing]]:
    """Image id -> the objects that it shows."""
    return {question.image_id: things for question, things, _ in _facts(run)}


def _facts(run: Run) -> Iterator[tuple[Question, Sequence[Thing], bool]]:
    """Every question, the objects in its image, and whether its caption lies."""
    lines = (run.path / "world" / "perception" / TRUTH).read_text(encoding="utf-8").splitlines()
    scenes = {fact["example_id"]: fact for fact in map(json.loads, lines)}
    examples = dict(run.captions.frame("caption_id", "example_id").iter_rows())
    for question in run.questions.rows():
        fact = scenes[examples[question.caption_id]]
        things = [Thing(o["shape"], o["colour"], o["size"], o["cell"]) for o in fact["objects"]]
        yield question, things, fact["lie"]


def written(caption: str) -> str:
    """The scripted teacher's reply, the same for the same caption."""
    rng = named_seed("noise teacher", caption)
    asked = questions.ask(captions.read(caption), rng)
    options = questions.options(asked, rng)
    right = next(letter for letter, text in options.items() if text == asked.answer)
    wrong = rng.random() < WRONG_KEYS
    marked = rng.choice([letter for letter in LETTERS if letter != right]) if wrong else right
    return json.dumps({"question": asked.text, "options": options, "answer": marked})


@contextmanager
def _teacher() -> Iterator[str]:
    """The teacher's endpoint on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 2**16

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = written(asked["messages"][-1]["content"].rsplit("Caption:", 1)[-1].strip())
            choice = {"index": 0, "message": {"role": "assistant", "content": reply}, "finish_reason": "stop"}
            data = json.dumps({"object": "chat.completion", "choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
