"""The verbs that talk to the Hugging Face Hub."""

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from capcurriculum.cli.app import HUB, verb
from capcurriculum.cli.options import Real, RunName, Stages, opt
from capcurriculum.render import terminal

Tag = Annotated[str, opt("Tag what was published, for example v1")]
Overwrite = Annotated[bool, opt("Publish even where a repo holds something else")]
Private = Annotated[bool, opt("Make repos that do not exist yet private")]
DryRun = Annotated[bool, opt("Only write the folders that would be sent, and ask the Hub nothing")]


@verb("publish demo --namespace NAME --dry-run", HUB)
def publish(
    run: RunName, /, *,
    namespace: Annotated[str | None, opt("A user or an organization (default: the recipe's, else the token's)")] = None,
    private: Private = False,
    dry_run: DryRun = False,
    order: Annotated[str, opt("An order below curricula/ (default: the plain stages)")] = "",
    one_repo: Annotated[bool, opt("One repo with a configuration for each set, instead of a repo each")] = False,
    overwrite: Overwrite = False,
    no_collection: Annotated[bool, opt("Make no collection of the repos")] = False,
    tag: Tag = "",
    branch: Annotated[str, opt("Publish to this branch instead of main")] = "",
    environment: Annotated[bool, opt("Also publish an environment for verifiers, prime-rl and NeMo Gym")] = False,
    pr: Annotated[bool, opt("Open a pull request instead of changing main, or continue with it")] = False,
) -> None:  # fmt: skip
    """Publish the sets of a run on the Hub, and read them back."""
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
        namespace, order, private, dry_run, one_repo, overwrite, tag, branch, pr, not no_collection, environment
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


@verb("environment demo --out environments/demo", HUB)
def environment(
    run: RunName, /, *,
    out: Annotated[Path | None, opt("The folder to write (default: environment in the run folder)")] = None,
    order: Annotated[str, opt("An order below curricula/ (default: the plain stages)")] = "",
) -> None:  # fmt: skip
    """Write a run's sets as an environment that verifiers, prime-rl and NeMo Gym install."""
    from hub import environment as environments

    folder = environments.environment(run, out, order)
    terminal.say(
        f"The environment is in {folder}, and every gold answer of its rows scores 1.0. "
        f"Install it with: pip install '{folder}[verifiers]'"
    )


@verb("validate environments/demo --split train", HUB)
def validate(
    folder: Annotated[Path, opt("A folder that `environment` wrote, or the one of a published set")], /, *,
    stage: Stages = (),
    split: Annotated[tuple[Literal["train", "val", "test"], ...], opt("Only this split (may be repeated)")] = (),
) -> None:  # fmt: skip
    """Check without a model that every gold answer of an environment scores 1.0."""
    from capcurriculum.engines import gold_check

    number = gold_check.validate(folder, stage, split)
    terminal.say(f"{number:,} rows: every gold answer scores 1.0.")


@verb("publish-model runs/demo/training/visual/checkpoint --repo NAME/demo", HUB)
def publish_model(
    checkpoint: Annotated[Path, opt("A folder with safetensors, for example runs/demo/training/visual/checkpoint")],
    /, *,
    repo: Annotated[str, opt("Where to, as namespace/name")],
    private: Private = False,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    tag: Tag = "",
) -> None:  # fmt: skip
    """Publish a checkpoint on the Hub, and read it back."""
    from capcurriculum.render.progress import Display
    from hub.publish import model

    model.publish(checkpoint, model.Wanted(repo, private, dry_run, overwrite, tag), Display())


@verb("download UCSC-VLAA/VLM-CapCurriculum", HUB)
def download(
    name: Annotated[str, opt("A namespace and prefix, the id of a repo, or the slug of a collection")], /, *,
    revision: Annotated[str, opt("A tag, a branch or a commit (default: main)")] = "",
    stage: Stages = (),
    split: Annotated[tuple[Literal["train", "val", "test"], ...], opt("Only this split (may be repeated)")] = (),
    to: Annotated[Path | None, opt("The run folder to make (default: runs/PREFIX)")] = None,
    val: Annotated[Real, opt("The share of rows to hold out of data without a validation split")] = 0.01,
) -> None:  # fmt: skip
    """Download published sets, ready for `capcurriculum train`."""
    from capcurriculum.render.progress import Display
    from hub.download import run

    target = run.download(run.Wanted(name, revision, stage, split, to, val), Display())
    then = f" Train with: capcurriculum train {target / 'recipe.yaml'}" if not split or "train" in split else ""
    terminal.say(f"The sets are in {target}.{then}")
