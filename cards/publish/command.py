"""What `capcurriculum publish` and `publish-model` were asked for, as calls."""

import argparse

from capcurriculum import run as runs
from capcurriculum.progress import Display


def publish(options: argparse.Namespace) -> None:
    """Publish a run's sets."""
    from cards.publish import run

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
    run.publish(runs.named(options.run), wanted, Display())


def publish_model(options: argparse.Namespace) -> None:
    """Publish a checkpoint."""
    from cards.publish import model

    wanted = model.Wanted(
        repo_id=options.repo,
        private=options.private,
        dry_run=options.dry_run,
        overwrite=options.overwrite,
        tag=options.tag,
    )
    model.publish(options.checkpoint, wanted, Display())
