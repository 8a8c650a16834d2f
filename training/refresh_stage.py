"""What comes before a link is trained: its pass rates measured anew, if the recipe wants that and it is not done.

How many of the rows that are left fill no batch is known only then.
"""

from rich.console import Console

from capcurriculum.render.progress import Display
from training.preflight.rows import coverage
from training.refresh import step
from training.run_stage import say
from training.stages import Links


def refresh_stage(links: Links, number: int, console: Console) -> None:
    """Have link `number` read the rows that its refresh leaves, in their new order; the plan is saved.

    Raises:
        TrainerError: the checkpoint cannot be asked, or too few rows are left.
        RunError: another process writes the run.
    """
    task = links.refresh(number)
    if task is None:
        return
    links.take(number, step.refresh(task, Display(console)))
    links.save()
    link, stage = links.links[number], links.stages[number]
    epochs = len({path.parent for path in link.taught.train})
    counts = (stage.rows, stage.batch_size, stage.total_steps)
    if text := coverage.unused(counts, drawn=link.knobs.shuffle, epochs=epochs):
        say(console, f"{stage.stage}: {text}.")
