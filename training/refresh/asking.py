"""A process of the trainer's environment in which a checkpoint answers the rows of a stage: `python -m`, a job's file.

It is a process of its own because an engine gives back a GPU, and most of its memory, only when it ends. Answers go to
the run's table, each noted as soon as it comes; the process that started this one holds the run's lock.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capcurriculum import recipe
from capcurriculum.errors import CapCurriculumError
from capcurriculum.locks import Share
from capcurriculum.recipe.models import ModelSection
from capcurriculum.recipe.rollouts import RolloutSection
from capcurriculum.render import terminal
from capcurriculum.render.progress import Display
from capcurriculum.rows import Purpose, Question, Sampling
from capcurriculum.run import Run
from capcurriculum.tables import Table
from datagen import rollouts
from datagen.setting import Setting
from datagen.solver import Solver

#: Beside a job's file: the error that ended it, one sentence.
ERROR = "error-{}.txt"


def answer(job: Mapping[str, Any], share: Share, display: Display) -> None:
    """Append the answers that are missing of a share of the job's rows.

    Raises:
        EngineError: the checkpoint cannot be run.
    """
    folder = Path(job["folder"])
    asked = list(Table(folder / "questions", Question).rows())
    mine = [question for question in asked if share.holds(question.image_id or question.question_id)]
    mine.sort(key=lambda q: (q.stage, q.image_id, q.question_id))
    wanted = recipe.load(folder / "recipe.yaml")
    run = Run(Path(job["run"]), writer=f"refresh-{share}")
    at = Setting(run, wanted, dict.fromkeys({q.stage for q in asked}, folder / "images"), display)
    model, sampling = ModelSection.model_validate(job["model"]), Sampling(**job["sampling"])
    with Solver(at, job["solver"], model, sampling, Purpose.REFRESH) as solver:
        rollouts.ask(solver, mine, RolloutSection.model_validate(job["rollouts"]))


def main(file: str, share: str) -> int:
    """Answer a share (`i/n`) of a job; returns 0, or 2 after writing why not beside the job's file."""
    part = Share.parse(share)
    # Libraries write to the log, which is standard output; progress of the first share goes to the terminal.
    console = terminal.console(file=os.fdopen(os.dup(2), "w"))
    console.quiet = part.number > 0
    os.dup2(1, 2)
    try:
        answer(json.loads(Path(file).read_text(encoding="utf-8")), part, Display(console))
    except CapCurriculumError as error:
        Path(file).with_name(ERROR.format(part.number)).write_text(str(error), encoding="utf-8")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
