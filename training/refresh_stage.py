"""What comes before a link is trained: its pass rates measured anew, if the recipe wants that and it is not done."""

from rich.console import Console

from capcurriculum.render.progress import Display
from training.refresh import step
from training.stages import Links


def refresh_stage(links: Links, number: int, console: Console) -> None:
    """Have link `number` read the rows that its refresh leaves, in their new order; the plan is saved.

    Raises:
        TrainerError: the checkpoint cannot be asked, or too few rows are left.
        RunError: another process writes the run.
    """
    task = links.refresh(number)
    if task is not None:
        links.take(number, step.refresh(task, Display(console)))
        links.save()
