"""Measure the pass rates of one stage's rows anew and write the files that its trainer reads."""

import shutil

from capcurriculum import journal, locks
from capcurriculum.render.progress import Display
from capcurriculum.rows import Question
from capcurriculum.tables import Table
from training.checkpoints import export
from training.refresh import files, judge, rows, workers
from training.refresh.files import Refreshed
from training.refresh.task import Task


def refresh(task: Task, display: Display) -> Refreshed:
    """Ask what is missing, judge the rows, and write those that are left.

    Raises:
        TrainerError: the checkpoint cannot be asked, or too few rows are left.
        RunError: another process writes the run, or a table is damaged.
    """
    solver = task.solver(export.checkpoint_digest(task.checkpoint))
    work = task.folder.with_name(".refresh.work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    questions = Table(work / "questions", Question)
    try:
        with locks.alone(task.run.path):
            journal.take_over(task.run.answers, everyone=True)  # what a killed refresh or build has heard
            number = rows.write(task.files, questions, work / "images")
            display.note(
                f"{task.stage}: {task.name} answers its {number} training rows, up to {task.section.k} times each"
            )
            workers.ask(task, solver, work)
            judged = judge.judge(task, questions, solver)
        judge.check_enough(task, judged, number, solver)
        about = (solver, number, judged.rollouts, task.bound)
        made = files.write(task.files, judged.rates, task.section.order, about, task.folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    gone = ", ".join(f"{reason} {count}" for reason, count in judged.reasons.items() if reason != "kept")
    display.note(
        f"{task.stage}: {made.files.rows} of {task.files.rows} training rows are left after {judged.rollouts} "
        f"rollouts{f' ({gone})' if gone else ''}"
    )
    return made
