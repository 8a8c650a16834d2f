"""The verbs that make data: stage sets, other orders of them, an audit of their labels, signatures of benchmarks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App

from capcurriculum.cli.app import DATA, app, verb
from capcurriculum.cli.options import Allow, Names, Positive, Real, RecipeName, RunName, Whole, opt
from capcurriculum.errors import RunError
from capcurriculum.render import terminal

if TYPE_CHECKING:
    from capcurriculum.recipe import Recipe
    from capcurriculum.run import Run

signatures = App("signatures", "Hashes of benchmarks, against which the filter `contamination` compares.", group=DATA)
app.command(signatures)


@verb("init photos --endpoint http://127.0.0.1:8000/v1", DATA)
def init(
    data: Annotated[str, opt("A folder of images or of files of rows, such a file, or a data set in the Hub's cache")],
    /, *,
    endpoint: Annotated[str, opt("The base URL of an OpenAI-compatible server, whose models are looked up")] = "",
    teacher: Annotated[str, opt("The model that writes questions from captions", metavar="NAME")] = "",
    solver: Annotated[Names, opt("A model that answers; the first one's pass rates are measured (may be repeated)",
                                 metavar="NAME")] = (),
    micro: Annotated[bool, opt("Try it without a server, with the tiny models of the package")] = False,
    api_key_env: Annotated[str, opt("The environment variable that holds the server's key", metavar="VARIABLE")
                           ] = "OPENAI_API_KEY",
    recipe: Annotated[Path | None, opt("The recipe's file (default: named after the data)", metavar="FILE")] = None,
    stage: Annotated[Literal["perception", "text", "visual"] | None,
                     opt("Make this stage of the data, and add it to the recipe where there is one")] = None,
    column: Annotated[Names, opt("What a column is, for example problem=Frage, or options=A,B,C (may be repeated)",
                                 metavar="KEY=COLUMN")] = (),
    answers: Annotated[Literal["letters", "zero_based", "one_based", "text"] | None,
                       opt("What whole numbers as keys of options are, where the rows leave it open")] = None,
    overwrite: Annotated[bool, opt("Replace a recipe that is there")] = False,
) -> None:  # fmt: skip
    """Look at data of your own, say what it holds, and write a commented recipe that builds it."""
    from capcurriculum.rows import Stage
    from curricula.first_recipe import command
    from curricula.first_recipe.models import Named
    from evaluation.serving.models import backbone_of

    named = Named(endpoint, teacher, solver, micro, api_key_env)
    wanted = command.Wanted(data, recipe, Stage(stage) if stage else None, column, answers, overwrite)
    made = command.init(wanted, named, backbone_of, terminal.say)
    done = f"Added the stage {made.added} to {made.file}" if made.added else f"Wrote {made.file}"
    terminal.say(
        f"{done}; look at it and change what you like. Next:", *_next_commands(made.file, made.recipe, made.begun)
    )


def _next_commands(file: Path, made: "Recipe", begun: Path | None) -> list[str]:
    """What builds a recipe, with the user's word before it where one is needed; a run that is `begun` is forked."""
    import shlex

    from capcurriculum import consent

    name = shlex.quote(str(file))
    word = consent.missing(consent.of_recipe(made), {consent.MODELS})
    allow = [f"  capcurriculum allow {name}    # says what is sent where, and that it may be"] if word else []
    if begun:
        fork = f"  capcurriculum build {name} --fork {begun.name}_2    # with all that {begun} was answered"
        return [*allow, fork]
    dry_run = f"  capcurriculum build {name} --dry-run      # what it asks and costs; nothing is sent"
    return [*allow, dry_run, f"  capcurriculum build {name} --preview 5    # five rows the whole road; then build it"]


@verb("build curricula/recipes/demo.yaml --dry-run", DATA)
def build(
    recipe: RecipeName, /, *,
    dry_run: Annotated[bool, opt("Print which model would get how many requests at what cost, and send none")] = False,
    preview: Annotated[Positive | None, opt("Build N rows of each stage alone, and show all that was said of them",
                                            metavar="N")] = None,
    fork: Annotated[str | None, opt("Begin the run NAME under this recipe, with all answers of its own run that "
                                    "still hold", metavar="NAME")] = None,
    shard: Annotated[str | None, opt("Do share I (from 0) of N, beside others on the run", metavar="I/N")] = None,
    ray: Annotated[list[str] | None, opt("Ask by Ray workers of the cluster at auto or host:port, else of this machine",
                                         metavar="[ADDRESS]", consume_multiple=(0, 1))] = None,
    allow: Allow = False,
) -> None:  # fmt: skip
    """Build the stage sets of a recipe, or resume where a build stopped."""
    from capcurriculum import consent, run
    from capcurriculum.locks import Share
    from capcurriculum.render.progress import Display
    from curricula.build import build as build_sets

    wanted = run.recipe_of(recipe)
    if fork and (dry_run or shard):
        raise RunError("--fork begins a run; leave --dry-run and --shard out, and give them its name afterwards.")
    if dry_run:
        return _forecast(wanted)
    consent.check(recipe, consent.of_recipe(wanted), {consent.MODELS}, allow=allow)
    if preview and (shard or ray is not None):
        raise RunError("--preview builds a few rows in this process; leave --shard and --ray out.")
    if shard and ray is not None:
        raise RunError("--shard and --ray are two ways to share the work; give one of them.")
    if fork:
        from curricula.fork import prepared

        wanted = prepared(wanted, fork)
        recipe = str(wanted.run_dir)
        terminal.say(f"The run {recipe} is a fork; go on with it by `capcurriculum build {recipe}`.")
    share = Share.parse(shard) if shard else None
    address = None if ray is None else "".join(ray) or "local"
    built = build_sets(wanted, Display(), share, address, preview or 0)
    if preview:
        return _preview(recipe, wanted, built)
    from capcurriculum.ledger import show  # after the build, whose first request need not wait for DuckDB

    show.funnel(built, terminal.console())
    if share:
        terminal.say(
            f"Shard {shard} is done. When all are, run the same command without --shard: it does what "
            "a shard left undone and writes the stage sets."
        )


def _preview(name: str, wanted: "Recipe", built: "Run") -> None:
    """Print the rows of a preview, and what the whole build will ask and cost by what they took."""
    from curricula import preview
    from datagen.sources import gather

    terminal.say(*preview.shown(gather.setting(built, wanted)))
    terminal.say("", "What the build will ask, by what these rows took:")
    _forecast(wanted)
    terminal.say(f"Next: capcurriculum build {name} (it finds these rows done).")


def _forecast(wanted: "Recipe") -> None:
    """Print what a build will ask and cost."""
    from capcurriculum.ledger import kept_cost, show
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
    if there and (costs := kept_cost.of_run(there, wanted)):
        out.print("\nas far as this run has come:")
        show.kept_costs(costs, out)
    else:
        out.print("what a kept row will cost is known once some rows are judged", highlight=False)


@verb("allow curricula/recipes/qwen3_vl_8b.yaml", DATA)
def allow(
    recipe: Annotated[str, opt("A recipe file, a run's name or folder, or a suite's YAML file")], /, *,
    forget: Annotated[bool, opt("Withdraw the permission")] = False) -> None:  # fmt: skip
    """Show what a recipe would run and send, and allow exactly that from now on."""
    from capcurriculum import consent, run
    from evaluation import suites

    wishes = suites.wishes(suites.load(recipe)) if suites.is_file(recipe) else consent.of_recipe(run.recipe_of(recipe))
    terminal.say(*consent.listed(recipe, wishes))
    if forget:
        consent.forget(wishes)
        terminal.say("This is not allowed any more.")
    elif wishes:
        terminal.say(f"This is allowed from now on; {consent.store(wishes)} stands for your word.")


@verb("curriculum demo --order merged", DATA)
def curriculum(
    run: RunName, /, *,
    order: Annotated[str, opt("An order of the recipe's `curriculum`, or a kind of one: merged, difficulty, ...")],
    name: Annotated[str | None, opt("The folder below curricula/ (default: named after the parameters)")] = None,
    stages: Annotated[str | None, opt("The stages in order, as 2-1-3 or text-perception; others count from 4")] = None,
    reverse: Annotated[bool, opt("From hard to easy")] = False,
    by: Annotated[str | None, opt("What is mixed (default: stage)", choices=("stage", "source", "skill"))] = None,
    proportions: Annotated[str | None, opt("Of what is interleaved: perception=1,text=2 (default: as it is)")] = None,
    replay: Annotated[Real | None, opt("The share of each earlier stage mixed into a later one, as 0.1")] = None,
    balance: Annotated[str | None, opt("Batches with equal shares, as KEY:BATCH, for example skill:512")] = None,
    epochs: Annotated[Whole | None, opt("Write files for this many epochs, each drawn anew")] = None,
    take: Annotated[str | None, opt("Only the share of each stage's training rows that teaches most, as 10%",
                                    metavar="SHARE")] = None,
) -> None:  # fmt: skip
    """Write the rows of a built run in another order, without asking a model."""
    from curricula import command

    folder = command.curriculum(run, order, name=name, stages=stages, reverse=reverse, by=by, replay=replay,
                                proportions=proportions, balance=balance, epochs=epochs, take=take)  # fmt: skip
    terminal.say(folder)


@verb("audit demo --model teacher --size 100", DATA)
def audit(
    run: RunName, /, *,
    model: Annotated[Names, opt("A model of the recipe (default: its filter's; may be repeated)")] = (),
    size: Annotated[Whole, opt("The number of questions in the sample")] = 200,
    mode: Annotated[str | None, opt("Judge the marked answer, answer the question, or describe the image for a reader",
                                    choices=("judge", "answer", "describe"))] = None,
    reader: Annotated[str | None, opt("The model of the recipe that reads the descriptions")] = None,
    sees: Annotated[str | None, opt("What it is shown", choices=("image_and_caption", "image", "caption"))] = None,
    votes: Annotated[Whole | None, opt("How often each model is asked about a question")] = None,
    allow: Allow = False,
    seed: Annotated[Whole, opt("Another seed draws another sample")] = 0,
) -> None:  # fmt: skip
    """Estimate how many marked answers of a run are wrong, by models that check a sample of them."""
    from capcurriculum import consent
    from capcurriculum.render.progress import Display
    from capcurriculum.run import with_recipe
    from filters.audit import run as audit_run

    found, wanted = with_recipe(run)
    section = audit_run.auditor(wanted, model, mode, sees, votes, reader)
    consent.check(run, consent.of_recipe(wanted), {consent.MODELS}, allow=allow)
    report = audit_run.audit_run(wanted, found, section, size, seed, Display())
    audit_run.show(report, terminal.console())


@verb("build MathVista.tsv --name MathVista --out mathvista.sig", name="build", of=signatures)
def build_signature(
    data: Annotated[Path, opt("A TSV, JSON lines, Parquet or CSV file, or a folder of such files")], /, *,
    name: Annotated[str, opt("What verdicts call the benchmark, for example MathVista")],
    out: Annotated[Path, opt("The signature file to write")],
    layout: Annotated[str, opt("MathVista, MathVerse, ... (default: the TSV layout of VLMEvalKit)")] = "",
    question: Annotated[Names, opt("A column of questions (may be repeated)")] = (),
    image: Annotated[Names, opt("A column of images (may be repeated)")] = (),
    images: Annotated[Path | None, opt("The folder of images that the data names (default: beside it)")] = None,
    source: Annotated[str, opt("Where the data comes from, for example a Hub id")] = "",
    revision: Annotated[str, opt("Which revision of it")] = "",
) -> None:  # fmt: skip
    """Make a signature file, which holds hashes only, from the data of a benchmark."""
    from filters.corpus.signatures import build, file, layouts

    chosen = layouts.named(layout or layouts.DEFAULT, question, image)
    made = build.build(build.Wanted(data, name, chosen, source, revision, images))
    file.save(made, out)
    terminal.say(*build.summary(made))
