"""`capcurriculum VERB`: one verb a room, each importing its room only when called.

A failure the user can mend prints one sentence and exits with 2; a bug of ours exits with 70 and names the file with
its traceback; an interrupt exits with 130, SIGTERM with 143 and a closed terminal with 129, and none loses anything.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from capcurriculum import __version__, signals
from capcurriculum.cli import analysis_options, curriculum_options, evaluate_options, hub_options, review_options
from capcurriculum.errors import RunError
from capcurriculum.render import terminal

if TYPE_CHECKING:
    from capcurriculum.run import Run

#: What a library written in Rust raises over a bug of its own, or over damaged data; it is no Exception.
_PANIC = "PanicException"
Verb = Callable[[argparse.Namespace], None]
#: Name, what it calls, and its help -> the parser of a new verb.
AddVerb = Callable[[str, Verb, str], argparse.ArgumentParser]
_RECIPE = "a recipe file, for example curricula/recipes/demo.yaml, or a run that keeps its own: its folder, or its name"
_RUN = "a run folder, a run's name below runs/, or a recipe file"


def _build(arguments: argparse.Namespace) -> None:
    from capcurriculum import consent, run
    from capcurriculum.ledger import show
    from capcurriculum.locks import Share
    from capcurriculum.render.progress import Display
    from capcurriculum.render.table import grid
    from curricula.build import build

    wanted, out = run.recipe_of(arguments.recipe), terminal.console()
    if arguments.dry_run:
        from capcurriculum.ledger.forecast import forecast
        from datagen import expected
        from datagen.sources import inferred_keys

        there = expected.existing_run(wanted)
        if examples := inferred_keys.rows(wanted):
            out.print(grid(inferred_keys.COLUMNS, examples))
        for sentence in expected.assumed(wanted, there):
            out.print(terminal.visible(sentence), soft_wrap=True)
        show.forecast(forecast(wanted, there, expected.rows(wanted, there)), out)
    else:
        consent.check(arguments.recipe, consent.of_recipe(wanted), {consent.MODELS}, allow=arguments.allow)
        if arguments.shard and arguments.ray:
            raise RunError("--shard and --ray are two ways to share the work; give one of them.")
        share = Share.parse(arguments.shard) if arguments.shard else None
        show.funnel(build(wanted, Display(), share, arguments.ray), out)
        if share:
            terminal.say(
                f"Shard {arguments.shard} is done. When all are, run the same command without --shard: it does what "
                "a shard left undone and writes the stage sets."
            )


def _allow(arguments: argparse.Namespace) -> None:
    from capcurriculum import consent, run
    from evaluation import suites

    named = arguments.recipe
    is_suite = suites.is_file(named)
    wishes = suites.wishes(suites.load(named)) if is_suite else consent.of_recipe(run.recipe_of(named))
    terminal.say(*consent.listed(named, wishes))
    if arguments.forget:
        consent.forget(wishes)
        terminal.say("This is not allowed any more.")
    elif wishes:
        terminal.say(f"This is allowed from now on; {consent.store(wishes)} stands for your word.")


def _curriculum(arguments: argparse.Namespace) -> None:
    from curricula import command

    terminal.say(*str(command.execute(arguments)).split("\n"))


def _train(arguments: argparse.Namespace) -> None:
    from training import command

    command.execute(arguments)


def _curves(arguments: argparse.Namespace) -> None:
    from capcurriculum import run
    from training import samples
    from training.supervise import curves

    folder = run.named(arguments.run).path
    for name, training in curves.trainings(folder).items() if arguments.samples else ():
        samples.show_samples(name, samples.of_training(folder, training), terminal.console())
    for path in curves.write(folder):
        terminal.say(path)


def _status(arguments: argparse.Namespace) -> None:
    from capcurriculum import run
    from capcurriculum.ledger import show

    show.status(run.named(arguments.run), terminal.console())


def _verify(arguments: argparse.Namespace) -> None:
    from capcurriculum import run
    from capcurriculum.ledger import show, verify

    found, damage = verify.verify(run.named(arguments.run))
    show.verified(found, terminal.console())
    if damage:
        raise RunError(" ".join(damage))


def _funnel(arguments: argparse.Namespace) -> None:
    from capcurriculum import recipe, run
    from capcurriculum.ledger import show
    from training import remarks

    found, named = run.named(arguments.run), Path(arguments.run)
    wanted = recipe.load(named) if named.is_file() else found.recipe()
    _note_foreign(found, arguments.run)
    show.funnel(found, terminal.console(), arguments.overlap)
    show.remarks(remarks.of(found, wanted), terminal.console())


def _why(arguments: argparse.Namespace) -> None:
    from capcurriculum import run
    from capcurriculum.ledger import why

    for line in why.life(run.named(arguments.run), arguments.row):
        terminal.say(line)


def _query(arguments: argparse.Namespace) -> None:
    from capcurriculum import run
    from capcurriculum.ledger import user_query
    from capcurriculum.render.table import grid

    columns, rows = user_query.answer(run.named(arguments.run), arguments.sql)
    if arguments.csv:
        terminal.rows_as_csv(columns, rows)
    else:
        terminal.console().print(grid(columns, rows))


def _audit(arguments: argparse.Namespace) -> None:
    from capcurriculum import consent, recipe, run
    from capcurriculum.render.progress import Display
    from filters.audit import run as audit_run

    found = run.named(arguments.run)
    named = Path(arguments.run)
    wanted = recipe.load(named) if named.is_file() else found.recipe()
    told = (arguments.mode, arguments.sees, arguments.votes, arguments.reader)
    section = audit_run.auditor(wanted, arguments.model, *told)
    consent.check(arguments.run, consent.of_recipe(wanted), {consent.MODELS}, allow=arguments.allow)
    report = audit_run.audit_run(wanted, found, section, arguments.size, arguments.seed, Display())
    audit_run.show(report, terminal.console())


def _review(arguments: argparse.Namespace) -> None:
    from review import command

    command.execute(arguments)


def _compare(arguments: argparse.Namespace) -> None:
    from evaluation.compare import command

    command.execute(arguments)


def _errors(arguments: argparse.Namespace) -> None:
    from evaluation.errors import command

    command.execute(arguments)


def _report(arguments: argparse.Namespace) -> None:
    from capcurriculum import run
    from capcurriculum.render.progress import Display
    from cards.report import write

    found = run.named(arguments.run)
    _note_foreign(found, arguments.run)
    path = write.report(found, arguments.out, Display(), arguments.rows or write.ROWS)
    terminal.say(f"The report is {path}; open it with any browser.")


def _note_foreign(found: "Run", named: str) -> None:
    """Say where a recipe file is named and the run was last built with another; what is told is the run as it is."""
    from capcurriculum import run
    from curricula import make

    if not Path(named).is_file():
        return
    try:
        make.check_belongs(found, run.recipe_of(named), found.stages)
    except RunError as error:
        terminal.say(f"note: {error} What follows is of the run as it was built.", error=True)


def _card(arguments: argparse.Namespace) -> None:
    from hub import command

    terminal.say(*str(command.execute(arguments)).split("\n"))


def _publish(arguments: argparse.Namespace) -> None:
    from hub.publish import command

    command.publish(arguments)


def _publish_model(arguments: argparse.Namespace) -> None:
    from hub.publish import command

    command.publish_model(arguments)


def _download(arguments: argparse.Namespace) -> None:
    from hub.download import command

    command.download(arguments)


def _serve(arguments: argparse.Namespace) -> None:
    from evaluation.serving import serve

    serve.execute(arguments)


def _evaluate(arguments: argparse.Namespace) -> None:
    from evaluation import evaluate

    evaluate.execute(arguments)


def _signatures_build(arguments: argparse.Namespace) -> None:
    from filters.corpus.signatures import build, file, layouts

    layout = layouts.named(arguments.layout or layouts.DEFAULT, tuple(arguments.question), tuple(arguments.image))
    made = build.build(
        build.Wanted(
            arguments.data, arguments.name, layout, arguments.source, arguments.revision, arguments.images
        )
    )  # fmt: skip
    file.save(made, arguments.out)
    for line in build.summary(made):
        terminal.say(line)


class _Parser(argparse.ArgumentParser):
    """Its words and those of its verbs may come from a file's name or a script, and are shown as they are."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong, and exit with 2."""
        self.print_usage(sys.stderr)
        self.exit(2, terminal.sentence(f"{self.prog}: error: {message}") + "\n")


def parser() -> argparse.ArgumentParser:
    """The command line, without importing any room."""
    top = _Parser(
        prog="capcurriculum",
        description="Build curriculum datasets ordered by capability and train a vision-language model through them.",
    )
    top.add_argument("--version", action="version", version=f"capcurriculum {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, call: Verb, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(call=call)
        return added

    _add_making(verb)
    _add_reading(verb)
    _add_audit(verb)
    text = "have people review a sample of a run's questions, and judge by what they say"
    review_options.declare(verbs.add_parser("review", help=text, description=text), _review)
    evaluate_options.serve(verb("serve", _serve, "serve a model with vLLM as training saw it, until Ctrl-C"))
    evaluate_options.evaluate(verb("evaluate", _evaluate, "ask models a suite of benchmarks, or go on with it"))
    text = "put evaluated models side by side: scores, paired gains with intervals, lengths of replies"
    analysis_options.compare(verb("compare", _compare, text))
    text = "why a model's answers are wrong: judges vote on each, people check a sample"
    analysis_options.errors(verb("errors", _errors, text))
    hub_options.publish(verb("publish", _publish, "put a run's sets on the Hub, and read them back"))
    hub_options.model(verb("publish-model", _publish_model, "put a checkpoint on the Hub, and read it back"))
    hub_options.download(verb("download", _download, "bring published sets, ready for `capcurriculum train`"))
    text = "hashes of benchmarks, against which the filter `contamination` compares"
    _add_signatures(verbs.add_parser("signatures", help=text, description=text))
    return top


def _add_making(verb: AddVerb) -> None:
    """The verbs that make something of a recipe or a run."""
    build = verb("build", _build, "build the stage sets of a recipe, or go on where it stopped")
    build.add_argument("recipe", help=_RECIPE)
    build.add_argument(
        "--dry-run", action="store_true", help="print what it will ask of which model at what cost, and ask nothing"
    )
    build.add_argument(
        "--shard",
        metavar="I/N",
        help="do share I (from 0) of N of the asking, beside other processes or machines on the same run folder",
    )
    build.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="have Ray workers ask the models: of the cluster at ADDRESS (auto, or host:port), else of this machine; "
        "give it after the recipe",
    )
    build.add_argument("--allow", action="store_true", help=evaluate_options.ALLOW)
    allow = verb("allow", _allow, "show what a recipe would run and send, and allow just that from now on")
    allow.add_argument("recipe", help=f"{_RECIPE}; or a suite's YAML file")
    allow.add_argument("--forget", action="store_true", help="take your word back")
    order = verb("curriculum", _curriculum, "write the rows of a built run in another order, asking no model")
    order.add_argument("run", help=_RUN)
    curriculum_options.declare(order)
    train = verb("train", _train, "train a model through the stages with verl, or go on where it stopped")
    train.add_argument("recipe", help=_RECIPE)
    train.add_argument("--backbone", help="another one than the recipe's, in a training of its own: qwen2_5_vl_7b, ...")
    train.add_argument("--stage", help="train this stage alone; those before it must be done")
    train.add_argument(
        "--engine",
        choices=("verl", "easyr1"),
        default="verl",
        help="easyr1: write the same training as files for EasyR1, which is not run here",
    )
    train.add_argument("--ray", metavar="ADDRESS", help="join the Ray cluster at auto, host:port or ray://host:port")
    train.add_argument("--sbatch", type=Path, metavar="FILE", help="write a Slurm script that trains, and do not train")
    train.add_argument("--allow", action="store_true", help=evaluate_options.ALLOW)
    train.add_argument(
        "--dry-run", action="store_true", help="print the plan and the exact commands, and change nothing"
    )


def _add_reading(verb: AddVerb) -> None:
    """The verbs that tell what a run holds."""
    verb("status", _status, "how far a run is").add_argument("run", help=_RUN)
    text = "read all of a run's files to their end and compare them with their checksums"
    verb("verify", _verify, text).add_argument("run", help=_RUN)
    funnel = verb("funnel", _funnel, "what each filter kept and dropped, and why")
    funnel.add_argument("run", help=_RUN)
    funnel.add_argument(
        "--overlap", action="store_true", help="also what each filter catches by itself, alone, and with each other one"
    )
    text = "draw held-out accuracy, reward and response length of a run's trainings against step, also while they run"
    curves = verb("curves", _curves, text)
    curves.add_argument("run", help=_RUN)
    curves.add_argument(
        "--samples",
        action="store_true",
        help="also print replies to the same validation rows before and after each stage",
    )
    why = verb("why", _why, "the whole life of one row")
    why.add_argument("run", help=_RUN)
    why.add_argument("row", help="the beginning of a caption's, question's or source line's id")
    query = verb("query", _query, "one SQL statement over a run's tables")
    query.add_argument("run", help=_RUN)
    query.add_argument("sql", help='for example "select reason, count(*) from verdicts group by all"')
    query.add_argument("--csv", action="store_true", help="print CSV instead of a table")
    report = verb("report", _report, "one page on a run: its numbers, and every question with what became of it")
    report.add_argument("run", help=_RUN)
    report.add_argument(
        "--out", type=Path, metavar="FILE", help="the HTML file (default: report.html in the run folder)"
    )
    report.add_argument("--rows", type=_positive, metavar="N", help="show at most N rows (default: 20000)")
    card = verb("card", _card, "the card of a run's sets, or with --model of a checkpoint, without publishing anything")
    card.add_argument("run", help=f"{_RUN}; with --model also a checkpoint's folder")
    card.add_argument(
        "--stage", action="append", default=[], help="a set, or the stage of a model (default: all, the last)"
    )
    card.add_argument("--order", help="the order whose sets are meant (default: the stages)")
    card.add_argument("--model", action="store_true", help="the card of the trained model instead of its data")
    card.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write README.md and its pictures there, not to the screen"
    )


def _add_audit(verb: AddVerb) -> None:
    audit = verb("audit", _audit, "have a model check a sample of a run's marked answers: how many are wrong")
    audit.add_argument("run", help=f"{_RUN}; a recipe file may name an auditor that the run does not know yet")
    audit.add_argument(
        "--model",
        action="append",
        default=[],
        help="one of the recipe's models (default: its filter's; may be repeated)",
    )
    audit.add_argument("--size", type=int, default=200, help="questions in the sample (default 200)")
    audit.add_argument(
        "--mode",
        choices=("judge", "answer", "describe"),
        help="judge the marked answer, answer the question, or describe the image for a reader to answer from",
    )
    audit.add_argument("--reader", help="which of the recipe's models reads the descriptions")
    audit.add_argument("--sees", choices=("image_and_caption", "image", "caption"), help="what is shown")
    audit.add_argument("--votes", type=int, help="how often each is asked about a question")
    audit.add_argument("--allow", action="store_true", help=evaluate_options.ALLOW)
    audit.add_argument("--seed", type=int, default=0, help="another seed draws another sample")


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _add_signatures(signatures: argparse.ArgumentParser) -> None:
    text = "make a signature file, which holds hashes only, from a benchmark's data"
    tasks = signatures.add_subparsers(dest="task", required=True, metavar="TASK")
    build = tasks.add_parser("build", help=text, description=text)
    build.set_defaults(call=_signatures_build)
    build.add_argument("data", type=Path, help="a TSV, JSON lines, Parquet or CSV file, or a folder of such files")
    build.add_argument("--name", required=True, help="what verdicts call the benchmark, for example MathVista")
    build.add_argument("--out", required=True, type=Path, help="the signature file to write")
    build.add_argument("--layout", default="", help="MathVista, MathVerse, ... (default: VLMEvalKit's TSV layout)")
    build.add_argument("--question", action="append", default=[], help="a column of questions (may be repeated)")
    build.add_argument("--image", action="append", default=[], help="a column of images (may be repeated)")
    build.add_argument("--images", type=Path, help="the folder of images that the data names (default: beside it)")
    build.add_argument("--source", default="", help="where the data comes from, for example a Hub id")
    build.add_argument("--revision", default="", help="which revision of it")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; 0 when done, 2 with a sentence on what to mend, 70 for a bug of ours, 130 or more when stopped."""
    terminal.guard()
    words = sys.argv[1:] if argv is None else argv
    if odd := [word for word in words if not word.isascii() and word != word.encode("utf-8", "replace").decode()]:
        terminal.say(f"error: {odd[0]!r} has bytes that are no UTF-8; rename that file or folder.", error=True)
        return 2
    arguments = parser().parse_args(words)
    return exit_with(lambda: arguments.call(arguments))


def exit_with(work: Callable[[], object]) -> int:
    """The exit code of `work`: the one place where errors become sentences."""
    from capcurriculum import unforeseen

    try:
        with signals.as_interrupts():
            work()
            sys.stdout.flush()
    except KeyboardInterrupt as stopped:
        terminal.say("Stopped. Everything finished so far is kept; run the same command again to go on.", error=True)
        return stopped.code if isinstance(stopped, signals.Ended) else 130
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        code, said = unforeseen.told(error)
        if said:
            terminal.say(terminal.sentence(f"error: {said}"), error=True)
        return code
    return 0
