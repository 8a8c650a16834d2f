"""The verbs that talk to the Hugging Face Hub."""

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from capcurriculum.cli.options import RunName, Stages
from capcurriculum.render import terminal

Tag = Annotated[str, Parameter(help="Tag what was published, for example v1.")]
Overwrite = Annotated[bool, Parameter(help="Publish even where a repo holds something else.")]
Private = Annotated[bool, Parameter(help="Make repos that do not exist yet private.")]
DryRun = Annotated[bool, Parameter(help="Only write the folders that would be sent, and ask the Hub nothing.")]


def publish(
    run: RunName,
    /,
    *,
    namespace: str | None = None,
    private: Private = False,
    dry_run: DryRun = False,
    order: str = "",
    one_repo: bool = False,
    overwrite: Overwrite = False,
    no_collection: bool = False,
    tag: Tag = "",
    branch: str = "",
    pr: bool = False,
) -> None:
    """Publish the sets of a run on the Hub, and read them back.

    Example: capcurriculum publish demo --namespace NAME --dry-run

    Args:
        namespace: A user or an organization (default: the recipe's, else the owner of the token).
        order: An order below curricula/ (default: the plain stages).
        one_repo: Publish one repo with a configuration for each set, instead of a repo each.
        no_collection: Make no collection of the repos.
        branch: Publish to this branch instead of main.
        pr: Open a pull request instead of changing main, or continue with it.
    """
    from capcurriculum import recipe
    from capcurriculum.render.progress import Display
    from capcurriculum.run import named, same_recipe

    _import_datasets_alone()
    from hub.publish import run as publication

    found, own = named(run), None
    if Path(run).is_file():  # which may say other names than the run keeps
        own = recipe.load(Path(run))
        same_recipe(found, own)
    wanted = publication.Wanted(
        namespace, order, private, dry_run, one_repo, overwrite, tag, branch, pr, collection=not no_collection
    )
    publication.publish(found, wanted, Display(), own=own)


def _import_datasets_alone() -> None:
    """Import `datasets` without torch, which it would import to stream rows: seconds, and a third of a gigabyte."""
    if "datasets" in sys.modules:
        return
    before = os.environ.get("USE_TORCH")
    os.environ["USE_TORCH"] = "0"
    try:
        importlib.import_module("datasets")
    finally:
        del os.environ["USE_TORCH"]
        if before is not None:
            os.environ["USE_TORCH"] = before


def publish_model(
    checkpoint: Path,
    /,
    *,
    repo: str,
    private: Private = False,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    tag: Tag = "",
) -> None:
    """Publish a checkpoint on the Hub, and read it back.

    Example: capcurriculum publish-model runs/demo/training/visual/checkpoint --repo NAME/demo

    Args:
        checkpoint: A folder with safetensors, for example runs/demo/training/visual/checkpoint.
        repo: Where to, as namespace/name.
    """
    from capcurriculum.render.progress import Display
    from hub.publish import model

    wanted = model.Wanted(repo, private=private, dry_run=dry_run, overwrite=overwrite, tag=tag)
    model.publish(checkpoint, wanted, Display())


def download(
    name: str,
    /,
    *,
    revision: str = "",
    stage: Stages = (),
    to: Path | None = None,
    val: float = 0.01,
) -> None:
    """Download published sets, ready for `capcurriculum train`.

    Example: capcurriculum download UCSC-VLAA/VLM-CapCurriculum

    Args:
        name: A namespace and prefix, the id of a repo, or the slug of a collection.
        revision: A tag, a branch or a commit (default: main).
        to: The run folder to make (default: runs/PREFIX).
        val: The share of rows to hold out of data without a validation split.
    """
    from capcurriculum.render.progress import Display
    from hub.download import run

    target = run.download(run.Wanted(name, revision, stage, to, val), Display())
    terminal.say(f"The sets are in {target}. Train with: capcurriculum train {target / 'recipe.yaml'}")
