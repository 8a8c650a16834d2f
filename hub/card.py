"""`capcurriculum card`: the card of a set or of a model as it would be published, without asking the Hub anything."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from capcurriculum import run as runs
from capcurriculum.errors import CapCurriculumError, RunError
from capcurriculum.run import Run
from cards.dataset.card import render
from cards.model.card import render as render_model
from cards.model.training import done
from cards.staged import StagedModel
from curricula import make
from hub.publish import local, redact


def card(named: str, stages: Sequence[str] = (), order: str = "", *, of_model: bool, out: Path | None = None) -> str:
    """The card of a run's sets or model as Markdown; with `out` it is written there, and the text says where.

    Raises:
        CapCurriculumError: with one sentence; nothing but the folder of `--out` is touched.
    """
    if of_model and order:
        raise RunError("--order names sets of rows; a model has none, so leave it out.")
    if out is not None and out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; give --out the name of a folder.")
    with tempfile.TemporaryDirectory(prefix="capcurriculum-card-") as name:
        folder = Path(name)
        written = render_model(_model(named, stages, folder)) if of_model else _sets(named, stages, order, folder)
        if out is None:
            return (folder / "README.md").read_text(encoding="utf-8")
        try:
            for path in written:
                target = out / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        except OSError as error:
            raise RunError(f"The card cannot be written to {out} ({error.strerror}); give another --out.") from error
    return f"The card is {out / 'README.md'}, its pictures beside it."


def _sets(named: str, stages: Sequence[str], order: str, folder: Path) -> Sequence[Path]:
    if len(stages) > len(set(stages)):
        raise RunError("--stage names a set twice.")
    run, recipe = runs.named(named), runs.recipe_of(named)
    make.check_belongs(run, recipe, run.path / "curricula" / order if order else run.stages)
    return render(local.staged(run, order, stages, folder, recipe))


def _model(named: str, stages: Sequence[str], folder: Path) -> StagedModel:
    """The checkpoint that is meant: a folder of its own, or the last finished stage of a run, or the one named."""
    if len(stages) > 1:
        raise RunError("A model card is of one stage; give --stage once.")
    wanted = stages[0] if stages else ""
    place = Path(named)
    if (place / "config.json").is_file():
        run, stage = _made_by(place)
        checkpoint = place
    else:
        run = runs.named(named)
        folder_of = done(run, wanted)
        if folder_of is None:
            raise RunError(
                f"{run.path} has no finished stage{f' {wanted}' if wanted else ''}; train it first, or name a "
                "checkpoint's folder."
            )
        checkpoint, stage = folder_of, folder_of.parent.name
    local.link_checkpoint(checkpoint, folder)
    recipe = redact.published(run.recipe()) if run else None
    name = f"{local.NAMESPACE}/{f'{recipe.name}-{stage}' if recipe and stage else checkpoint.resolve().name}"
    return StagedModel(folder, name, run, stage, (), recipe)


def _made_by(checkpoint: Path) -> tuple[Run | None, str]:
    """The run and stage of `RUN/training/STAGE/checkpoint` or `RUN/trainings/NAME/STAGE/checkpoint`."""
    folder = checkpoint.resolve()
    for levels in (2, 3):
        place = folder.parents[levels] if len(folder.parents) > levels else folder
        try:
            return runs.existing(place), folder.parent.name
        except CapCurriculumError:
            continue
    return None, ""
