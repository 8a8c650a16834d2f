"""The verbs that serve models, measure them, compare them, and say why their answers are wrong."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from capcurriculum.cli.app import EVALUATE, verb
from capcurriculum.cli.options import Allow, Fraction, Positive, Whole, opt

_HERE = "micro:start, a checkpoint's folder, a run or a recipe (its last trained model), or a Hub id"
_LABEL = "A label in the results, or FOLDER or FOLDER:LABEL, the folder of an evaluation or a run"
_JUDGES = Group("Judges (without one, earlier votes are reported again)", sort_key=1)
_PEOPLE = Group("People who check the judges", sort_key=2)
Results = Annotated[str | None, opt("Where the labels are: an evaluation's folder, or a run", name="--in")]


@Parameter("*", group=Group("How vLLM serves the model", sort_key=1))
@dataclass(frozen=True)
class Serving:
    """How a model is served."""

    backbone: Annotated[str, opt("Whose lengths and image limits hold (default: the model's)")] = ""
    tensor_parallel: Annotated[Positive | None, opt("GPUs that share the model (default: the backbone's)")] = None
    gpu_memory: Annotated[Fraction | None, opt("The share of each GPU's memory to use (default: 0.9)")] = None
    max_length: Annotated[Positive | None, opt("Tokens of a prompt and its reply (default: the backbone's)")] = None
    patience: Annotated[float, opt("Seconds until the server must be ready")] = 900
    system: Annotated[
        bool | None,
        opt("The unified system prompt before every question (default: yes, but not for a base model)",
            negative="--no-system"),
    ] = None  # fmt: skip


_DEFAULTS = Serving()


@verb("serve demo --port 8001", EVALUATE)
def serve(
    model: Annotated[str, opt(f"One of {_HERE}")],
    /,
    *,
    port: Annotated[Whole, opt("The port; 0 finds a free one")] = 8000,
    images: Annotated[Positive, opt("The most images of a request, one in training")] = 1,
    python: Annotated[str, opt("The interpreter of the environment that vLLM is in (default: this one)")] = "",
    dry_run: Annotated[bool, opt("Print the command, and start nothing")] = False,
    serving: Serving = _DEFAULTS,
) -> None:
    """Serve a model with vLLM as training saw it, until Ctrl-C."""
    from evaluation.serving import serve as room
    from evaluation.serving.models import find
    from evaluation.serving.vllm_command import Wanted

    wanted = Wanted(port, serving.tensor_parallel, serving.gpu_memory, images, serving.max_length, python)
    target = find(model, serving.backbone, serving.system, weigh=False)
    room.serve(target, wanted, serving.patience, dry_run=dry_run)


@verb("evaluate micro:hedging demo --suite demo", EVALUATE)
def evaluate(
    model: Annotated[list[str], opt(f"One or more of {_HERE}, or LABEL=URL for a running endpoint")],
    /,
    *,
    suite: Annotated[
        str, opt("main, extended, a suite's YAML file, a TSV or Parquet file, or a run for its test rows")
    ],
    out: Annotated[
        Path | None, opt("The folder of the results (default: the run's evaluation/, or evaluations/)")
    ] = None,
    engine: Annotated[Literal["own", "vlmevalkit", "lmms-eval"] | None, opt("What asks (default: the suite's)")] = None,
    judge: Annotated[str, opt("One of the suite, MODEL@URL, bedrock:ID, or exact (default: the suite's)")] = "",
    limit: Annotated[Positive | None, opt("Only the first samples of a benchmark, this many")] = None,
    max_tokens: Annotated[Positive | None, opt("The most tokens of a reply (default: the backbone's)")] = None,
    runner: Annotated[
        Literal["transformers", "vllm", "serve"] | None, opt("What runs a model for the own engine", name="--with")
    ] = None,
    concurrency: Annotated[Positive, opt("The number of requests at a time to a server")] = 32,
    python: Annotated[str, opt("The interpreter of the kit's environment (default: evaluation.python)")] = "",
    dry_run: Annotated[bool, opt("Print what would be asked of which model, and the commands; ask nothing")] = False,
    allow: Allow = False,
    serving: Serving = _DEFAULTS,
) -> None:
    """Ask models the benchmarks of a suite, or resume where an evaluation stopped."""
    from capcurriculum.render.progress import Display
    from evaluation import evaluate as room
    from evaluation import suites
    from evaluation.job import Work
    from evaluation.serving.vllm_command import Wanted

    targets = room.targets(model, serving.backbone, serving.system)
    server = Wanted(
        tensor_parallel=serving.tensor_parallel, gpu_memory=serving.gpu_memory, max_length=serving.max_length
    )
    folder, tasks = out or room.default_folder(targets), suites.load(suite)
    work = Work(
        folder, tasks, Display(), limit, max_tokens, runner or "", concurrency, judge, python, server,
        dry_run, serving.patience,
    )  # fmt: skip
    room.evaluate(work, targets, engine or tasks.engine, suite, allow=allow)


@verb('compare micro:hedging "demo after visual" --in demo', EVALUATE)
def compare(
    model: Annotated[list[str], opt(f"Two or more, the first to compare with: {_LABEL}")],
    /,
    *,
    results: Results = None,
    published: Annotated[str | None, opt("The base model whose numbers in the paper are shown, or none")] = None,
    out: Annotated[Path | None, opt("The folder for tables and plots (default: below the results)")] = None,
) -> None:
    """Compare evaluated models: scores, paired gains with intervals, lengths of replies."""
    from evaluation.compare import command

    command.compare(model, results, published, out)


@verb('errors "demo after visual" --in demo --judge teacher', EVALUATE)
def errors(
    model: Annotated[str, opt(_LABEL)],
    /,
    *,
    results: Results = None,
    benchmark: Annotated[tuple[str, ...], opt("Only this benchmark (may be repeated)")] = (),
    judge: Annotated[tuple[str, ...], opt("A recipe's model, or MODEL@URL (may be repeated)", group=_JUDGES)] = (),
    recipe: Annotated[Path | None, opt("The recipe with the model (default: the run's)", group=_JUDGES)] = None,
    allow: Annotated[Allow, Parameter(group=_JUDGES)] = False,
    votes: Annotated[Positive, opt("Votes of each judge on each answer", group=_JUDGES)] = 3,
    size: Annotated[Positive | None, opt("Judge this many, drawn at random (default: all)", group=_JUDGES)] = None,
    seed: Annotated[Whole, opt("Another seed draws other answers", group=_JUDGES)] = 0,
    temperature: Annotated[
        float | None, opt("Of a vote (default: 0, with the kinds of errors in another order in each)", group=_JUDGES)
    ] = None,
    max_tokens: Annotated[Positive, opt("The most tokens of a vote", group=_JUDGES)] = 512,
    check_size: Annotated[Positive, opt("The number of answers that people look at", group=_PEOPLE)] = 40,
    export: Annotated[Path | None, opt("Write them as a page for any browser to this file", group=_PEOPLE)] = None,
    check: Annotated[
        tuple[Path, ...], opt("Read the answers that such pages saved", group=_PEOPLE, consume_multiple=1)
    ] = (),
    push: Annotated[bool, opt("Put them on an Argilla server (see `review push`)", group=_PEOPLE)] = False,
    pull: Annotated[bool, opt("Fetch the responses from the Argilla server", group=_PEOPLE)] = False,
    overlap: Annotated[Positive, opt("How many people must answer each", group=_PEOPLE)] = 1,
    annotator: Annotated[
        tuple[str, ...],
        opt("Whose page --export writes, whose unsigned answers --check reads, or whose account --push makes",
            group=_PEOPLE),
    ] = (),
    create_workspace: Annotated[bool, opt("Make the workspace if there is none", group=_PEOPLE)] = False,
) -> None:  # fmt: skip
    """Find out why answers of a model are wrong: judges vote on each, people check a sample."""
    from evaluation.errors import command
    from review.argilla.push import Wanted

    judging = command.Judging(judge, recipe, allow, votes, size, seed, temperature, max_tokens)
    asked = Wanted(overlap, create_workspace, annotator)
    command.errors(model, results, benchmark, judging, command.Checking(check_size, export, check, push, pull, asked))
