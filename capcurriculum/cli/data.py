"""The verbs that make data: stage sets, other orders of them, an audit of their labels, signatures of benchmarks."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from capcurriculum.cli.options import Allow, RecipeName, RunName, Whole
from capcurriculum.errors import RunError
from capcurriculum.recipe import Recipe
from capcurriculum.render import terminal

signatures = App(name="signatures", help="Hashes of benchmarks, against which the filter `contamination` compares.")


def build(
    recipe: RecipeName,
    /,
    *,
    dry_run: bool = False,
    shard: Annotated[str | None, Parameter(metavar="I/N")] = None,
    ray: Annotated[list[str] | None, Parameter(consume_multiple=(0, 1), metavar="[ADDRESS]")] = None,
    allow: Allow = False,
) -> None:
    """Build the stage sets of a recipe, or resume where a build stopped.

    Example: capcurriculum build curricula/recipes/demo.yaml --dry-run

    Args:
        dry_run: Print which model would get how many requests at what cost, and send none.
        shard: Do share I (from 0) of N of the requests, beside other processes or machines on the same run folder.
        ray: Let Ray workers send the requests, on the cluster at ADDRESS (auto, or host:port) or else on this machine.
    """
    from capcurriculum import consent, run
    from capcurriculum.ledger import show
    from capcurriculum.locks import Share
    from capcurriculum.render.progress import Display
    from curricula.build import build as build_sets

    wanted = run.recipe_of(recipe)
    if dry_run:
        return _forecast(wanted)
    consent.check(recipe, consent.of_recipe(wanted), {consent.MODELS}, allow=allow)
    if shard and ray is not None:
        raise RunError("--shard and --ray are two ways to share the work; give one of them.")
    share = Share.parse(shard) if shard else None
    address = None if ray is None else "".join(ray) or "local"
    show.funnel(build_sets(wanted, Display(), share, address), terminal.console())
    if share:
        terminal.say(
            f"Shard {shard} is done. When all are, run the same command without --shard: it does what "
            "a shard left undone and writes the stage sets."
        )


def _forecast(wanted: Recipe) -> None:
    """Print what a build will ask and cost."""
    from capcurriculum.ledger import show
    from capcurriculum.ledger.forecast import forecast
    from capcurriculum.render.table import grid
    from datagen import expected
    from datagen.sources import inferred_keys

    out, there = terminal.console(), expected.existing_run(wanted)
    if examples := inferred_keys.rows(wanted):
        out.print(grid(inferred_keys.COLUMNS, examples))
    for sentence in expected.assumed(wanted, there):
        out.print(terminal.visible(sentence), soft_wrap=True)
    show.forecast(forecast(wanted, there, expected.rows(wanted, there)), out)


def allow(
    recipe: Annotated[str, Parameter(help="A recipe file, a run by its name or folder, or a suite's YAML file.")],
    /,
    *,
    forget: bool = False,
) -> None:
    """Show what a recipe would run and send, and allow exactly that from now on.

    Example: capcurriculum allow curricula/recipes/qwen3_vl_8b.yaml

    Args:
        forget: Withdraw the permission.
    """
    from capcurriculum import consent, run
    from evaluation import suites

    wishes = suites.wishes(suites.load(recipe)) if suites.is_file(recipe) else consent.of_recipe(run.recipe_of(recipe))
    terminal.say(*consent.listed(recipe, wishes))
    if forget:
        consent.forget(wishes)
        terminal.say("This is not allowed any more.")
    elif wishes:
        terminal.say(f"This is allowed from now on; {consent.store(wishes)} stands for your word.")


def curriculum(
    run: RunName,
    /,
    *,
    order: str,
    name: str | None = None,
    stages: str | None = None,
    reverse: bool = False,
    by: Literal["stage", "source", "skill"] | None = None,
    proportions: str | None = None,
    replay: float | None = None,
    balance: str | None = None,
    epochs: Whole | None = None,
) -> None:
    """Write the rows of a built run in another order, without asking a model.

    Example: capcurriculum curriculum demo --order merged

    Args:
        order: An order of the recipe's `curriculum`, or a kind of order: merged, difficulty, ...
        name: The folder below curricula/ (default: one named after the parameters).
        stages: The stages in their order, by number or name: 2-1-3, or text-perception. Capabilities count from 4.
        reverse: From hard to easy.
        by: What an interleaved order mixes (default: stages).
        proportions: Of an interleaved order, as perception=1,text=2,visual=1 (default: as the rows are).
        replay: The share of each earlier stage that is mixed into a later one, for example 0.1.
        balance: Batches with equal shares, as KEY:BATCH, for example skill:512.
        epochs: Write files for this many epochs, each drawn anew.
    """
    from curricula import command

    folder = command.curriculum(
        run,
        order,
        name=name,
        stages=stages,
        reverse=reverse,
        by=by,
        proportions=proportions,
        replay=replay,
        balance=balance,
        epochs=epochs,
    )
    terminal.say(folder)


def audit(
    run: RunName,
    /,
    *,
    model: tuple[str, ...] = (),
    size: Whole = 200,
    mode: Literal["judge", "answer", "describe"] | None = None,
    reader: str | None = None,
    sees: Literal["image_and_caption", "image", "caption"] | None = None,
    votes: Whole | None = None,
    allow: Allow = False,
    seed: Whole = 0,
) -> None:
    """Estimate how many marked answers of a run are wrong, by a model that checks a sample of them.

    Example: capcurriculum audit demo --model teacher --size 100

    Args:
        model: One of the recipe's models, which a recipe file may add (default: its filter's; may be repeated).
        size: The number of questions in the sample.
        mode: Judge the marked answer, answer the question, or describe the image for a reader to answer from.
        reader: Which of the recipe's models reads the descriptions.
        sees: What the model is shown.
        votes: How often each model is asked about a question.
        seed: Another seed draws another sample.
    """
    from capcurriculum import consent
    from capcurriculum.render.progress import Display
    from capcurriculum.run import with_recipe
    from filters.audit import run as audit_run

    found, wanted = with_recipe(run)
    section = audit_run.auditor(wanted, model, mode, sees, votes, reader)
    consent.check(run, consent.of_recipe(wanted), {consent.MODELS}, allow=allow)
    report = audit_run.audit_run(wanted, found, section, size, seed, Display())
    audit_run.show(report, terminal.console())


@signatures.command(name="build")
def build_signature(
    data: Path,
    /,
    *,
    name: str,
    out: Path,
    layout: str = "",
    question: tuple[str, ...] = (),
    image: tuple[str, ...] = (),
    images: Path | None = None,
    source: str = "",
    revision: str = "",
) -> None:
    """Make a signature file, which holds hashes only, from the data of a benchmark.

    Example: capcurriculum signatures build MathVista.tsv --name MathVista --out mathvista.sig

    Args:
        data: A TSV, JSON lines, Parquet or CSV file, or a folder of such files.
        name: What verdicts call the benchmark, for example MathVista.
        out: The signature file to write.
        layout: MathVista, MathVerse, ... (default: the TSV layout of VLMEvalKit).
        question: A column of questions (may be repeated).
        image: A column of images (may be repeated).
        images: The folder of images that the data names (default: beside it).
        source: Where the data comes from, for example a Hub id.
        revision: Which revision of it.
    """
    from filters.corpus.signatures import build, file, layouts

    chosen = layouts.named(layout or layouts.DEFAULT, question, image)
    made = build.build(build.Wanted(data, name, chosen, source, revision, images))
    file.save(made, out)
    terminal.say(*build.summary(made))
