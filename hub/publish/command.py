"""What `capcurriculum publish` and `publish-model` were asked for, as calls."""

import argparse
import importlib
import os
import sys
from pathlib import Path

from capcurriculum import recipe
from capcurriculum import run as runs
from capcurriculum.render.progress import Display


def publish(options: argparse.Namespace) -> None:
    """Publish a run's sets."""
    _import_datasets_alone()
    from hub.publish import run

    wanted = run.Wanted(
        namespace=options.namespace,
        order=options.order,
        private=options.private,
        dry_run=options.dry_run,
        one_repo=options.one_repo,
        overwrite=options.overwrite,
        tag=options.tag,
        branch=options.branch,
        pull=options.pr,
        collection=not options.no_collection,
    )
    found, own = runs.named(options.run), None
    if Path(options.run).is_file():  # which may say other names than the run keeps
        own = recipe.load(Path(options.run))
        runs.same_recipe(found, own)
    run.publish(found, wanted, Display(), own=own)


def _import_datasets_alone() -> None:
    """Without torch, which `datasets` would import to stream rows: seconds, and a third of a gigabyte."""
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


def publish_model(options: argparse.Namespace) -> None:
    """Publish a checkpoint."""
    from hub.publish import model

    wanted = model.Wanted(
        repo_id=options.repo,
        private=options.private,
        dry_run=options.dry_run,
        overwrite=options.overwrite,
        tag=options.tag,
    )
    model.publish(options.checkpoint, wanted, Display())
