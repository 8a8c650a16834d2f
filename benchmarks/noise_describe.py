"""An auditor that looks before it is asked: it describes the image, and the marked answer is held against that.

Neither caption nor question nor options can lead it, so it also finds that what a question asks about is not there.
Looking is real: the micro models describe the picture. Reading is scripted: the world's own judge answers the question
from the description, as a text model would, and a micro model cannot say that there is no answer.
"""

from collections.abc import Iterable, Sequence
from itertools import product

import polars as pl

from benchmarks.noise_world import Setup
from capcurriculum.recipe import Recipe
from capcurriculum.rows import LETTERS, Answer, Arm, Message, Outcome, Purpose, Question, Request, Response, Sampling
from capcurriculum.run import Run
from datagen import engines
from datagen.micro import captions, questions
from datagen.sources import gather

#: Descriptions by each auditor, drawn at temperature 1.
VOTES = 3
SOLVER = "describing "
_SAMPLING = Sampling(temperature=1.0, max_tokens=120)
_ASKED = (Message("user", "Describe the image.", images=1),)


def describe(run: Run, recipe: Recipe, setup: Setup, asked: Iterable[Question]) -> None:
    """Append the votes on these questions that the run does not hold."""
    todo = list(asked)
    for name in setup.auditors:
        done = run.answers.keys("request_key", pl.col("solver") == SOLVER + name)
        wanted = _requests(run, recipe, name, todo)
        missing = {key: pair for key, pair in wanted.items() if key not in done}
        if missing:
            with engines.create(recipe.models[name]) as engine:
                replies = engine.stream(request for request, _ in missing.values())
                run.answers.append(_vote(missing[reply.key], reply, SOLVER + name) for reply in replies)


def _requests(run: Run, recipe: Recipe, name: str, asked: Sequence[Question]) -> dict[str, tuple[Request, Question]]:
    folders, model = gather.folders(run, recipe), recipe.models[name].model
    found = {}
    for question, vote in product(asked, range(VOTES)):
        shown = (question.image_id, str(folders[question.stage] / question.image_path))
        request = Request.make(model, _ASKED, _SAMPLING, images=(shown,), rollout=vote)
        found[request.key] = (request, question)
    return found


def _vote(pair: tuple[Request, Question], reply: Response, solver: str) -> Answer:
    request, question = pair
    things = captions.read(reply.text)
    marked = question.options[LETTERS.index(question.answer)]
    outcome = Outcome.UNPARSED
    if things:
        outcome = Outcome.RIGHT if questions.gold(things, question.text) == marked else Outcome.WRONG
    return Answer(
        request_key=reply.key,
        question_id=question.question_id,
        solver=solver,
        purpose=Purpose.AUDIT,
        arm=Arm.IMAGE,
        rollout=request.rollout,
        text=reply.text,
        answer="",
        outcome=outcome,
        finish=reply.finish,
        tokens_in=reply.tokens_in,
        tokens_out=reply.tokens_out,
        prompt_digest="",
    )
