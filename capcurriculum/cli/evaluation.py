"""The verbs that serve models, measure them, compare them, and say why their answers are wrong."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from capcurriculum.cli.options import Allow, Fraction, Positive, Whole

_HERE = "micro:start, a checkpoint's folder, a run or a recipe (its last trained model), or a Hub id"
_LABEL = "A label in the results, or FOLDER or FOLDER:LABEL; a folder is an evaluation's, or a run by name or folder."
Results = Annotated[str | None, Parameter(name="--in", help="Where the labels are: an evaluation's folder, or a run.")]


@Parameter(name="*", group=Group("How vLLM serves the model", sort_key=1))
@dataclass(frozen=True)
class Serving:
    """How a model is served.

    Attributes:
        backbone: The backbone whose lengths and image limits hold (default: the model's own).
        tensor_parallel: The number of GPUs that share the model (default: the backbone's).
        gpu_memory: The share of each GPU's memory to use (default: 0.9).
        max_length: The most tokens of a prompt and its reply (default: the backbone's).
        patience: Seconds until the server must be ready.
        system: Send the unified system prompt before every question (default: yes, except for a base model).
    """

    backbone: str = ""
    tensor_parallel: Positive | None = None
    gpu_memory: Fraction | None = None
    max_length: Positive | None = None
    patience: float = 900
    system: Annotated[bool | None, Parameter(negative="--no-system")] = None


_DEFAULTS = Serving()


def serve(
    model: Annotated[str, Parameter(help=f"{_HERE[0].upper()}{_HERE[1:]}.")],
    /,
    *,
    port: Whole = 8000,
    images: Positive = 1,
    python: str = "",
    dry_run: bool = False,
    serving: Serving = _DEFAULTS,
) -> None:
    """Serve a model with vLLM as training saw it, until Ctrl-C.

    Example: capcurriculum serve demo --port 8001

    Args:
        port: The port; 0 finds a free one.
        images: The most images of a request, one in training.
        python: The interpreter of the environment that vLLM is in (default: this one).
        dry_run: Print the command, and start nothing.
    """
    from evaluation.serving import serve as room
    from evaluation.serving.models import find
    from evaluation.serving.vllm_command import Wanted

    wanted = Wanted(port, serving.tensor_parallel, serving.gpu_memory, images, serving.max_length, python)
    target = find(model, serving.backbone, serving.system, weigh=False)
    room.serve(target, wanted, serving.patience, dry_run=dry_run)


def evaluate(
    model: Annotated[list[str], Parameter(help=f"Models: {_HERE}, or LABEL=URL for a running endpoint.")],
    /,
    *,
    suite: str,
    out: Path | None = None,
    engine: Literal["own", "vlmevalkit", "lmms-eval"] | None = None,
    judge: str = "",
    limit: Positive | None = None,
    max_tokens: Positive | None = None,
    runner: Annotated[Literal["transformers", "vllm", "serve"] | None, Parameter(name="--with")] = None,
    concurrency: Positive = 32,
    python: str = "",
    dry_run: bool = False,
    allow: Allow = False,
    serving: Serving = _DEFAULTS,
) -> None:
    """Ask models the benchmarks of a suite, or resume where an evaluation stopped.

    Example: capcurriculum evaluate micro:hedging demo --suite demo

    Args:
        suite: main or extended (the paper's), a suite's YAML file, a TSV or Parquet file, or a run for its test rows.
        out: The folder of the results (default: evaluation/ of the run, or evaluations/).
        engine: What asks and grades (default: the suite's).
        judge: One of the suite's judges, MODEL@URL, bedrock:ID, or exact (default: the suite's).
        limit: Only the first N samples of a benchmark.
        max_tokens: The most tokens of a reply (default: the backbone's).
        runner: What runs a model that the own engine asks.
        concurrency: The number of requests at a time to a server.
        python: The interpreter of the kit's environment (default: evaluation.python of the recipe).
        dry_run: Print what would be asked of which model, and the commands; ask nothing.
    """
    from capcurriculum.render.progress import Display
    from evaluation import evaluate as room
    from evaluation import suites
    from evaluation.job import Work
    from evaluation.serving.vllm_command import Wanted

    targets = room.targets(model, serving.backbone, serving.system)
    work = Work(
        folder=out or room.default_folder(targets),
        suite=suites.load(suite),
        display=Display(),
        limit=limit,
        max_tokens=max_tokens,
        runner=runner or "",
        concurrency=concurrency,
        judge=judge,
        python=python,
        server=Wanted(
            tensor_parallel=serving.tensor_parallel, gpu_memory=serving.gpu_memory, max_length=serving.max_length
        ),
        patience_seconds=serving.patience,
        dry_run=dry_run,
    )
    room.evaluate(work, targets, engine or work.suite.engine, suite, allow=allow)


def compare(
    model: Annotated[list[str], Parameter(help=f"Two models or more, compared with the first. {_LABEL}")],
    /,
    *,
    results: Results = None,
    published: Annotated[str | None, Parameter(metavar="BASE")] = None,
    out: Path | None = None,
) -> None:
    """Compare evaluated models: scores, paired gains with intervals, lengths of replies.

    Example: capcurriculum compare micro:hedging "demo after visual" --in demo

    Args:
        published: Show the paper's numbers of this base model, or none (default: all of the benchmarks measured).
        out: The folder for tables and plots (default: below the results).
    """
    from evaluation.compare import command

    command.compare(model, results, published, out)


@Parameter(name="*", group=Group("Judges (without one, earlier votes are reported again)", sort_key=1))
@dataclass(frozen=True)
class Judging:
    """Which judges vote, and on what.

    Attributes:
        judge: One of the recipe's models, or MODEL@URL (may be repeated).
        recipe: The recipe that has the judge's model (default: that of the results' run).
        votes: The votes of each judge on each answer.
        size: Judge this many wrong answers drawn at random (default: all).
        seed: Another seed draws other answers.
        temperature: Of a vote (default: 0, with the kinds of errors in another order in each).
        max_tokens: The most tokens of a vote.
    """

    judge: tuple[str, ...] = ()
    recipe: Path | None = None
    allow: Allow = False
    votes: Positive = 3
    size: Positive | None = None
    seed: Whole = 0
    temperature: float | None = None
    max_tokens: Positive = 512


@Parameter(name="*", group=Group("People who check the judges", sort_key=2))
@dataclass(frozen=True)
class Checking:
    """Which people check judged answers, and how.

    Attributes:
        check_size: The number of answers that people look at.
        export: Write the answers as a page for any browser to this file.
        check: Read the answers that such pages saved.
        push: Put the answers on an Argilla server (ARGILLA_API_URL, ARGILLA_API_KEY).
        pull: Fetch the responses from the Argilla server.
        overlap: How many people must answer each.
        annotator: Whose page --export writes, whose unsigned answers --check reads, or whose account --push makes.
        create_workspace: Make the workspace if there is none.
    """

    check_size: Positive = 40
    export: Path | None = None
    check: Annotated[tuple[Path, ...], Parameter(consume_multiple=1)] = ()
    push: bool = False
    pull: bool = False
    overlap: Positive = 1
    annotator: tuple[str, ...] = ()
    create_workspace: bool = False


_NO_JUDGES, _NO_PEOPLE = Judging(), Checking()


def errors(
    model: Annotated[str, Parameter(help=_LABEL)],
    /,
    *,
    results: Results = None,
    benchmark: tuple[str, ...] = (),
    judging: Judging = _NO_JUDGES,
    checking: Checking = _NO_PEOPLE,
) -> None:
    """Find out why answers of a model are wrong: judges vote on each, people check a sample.

    Example: capcurriculum errors "demo after visual" --in demo --judge teacher

    Args:
        benchmark: Only this benchmark (may be repeated).
    """
    from evaluation.errors import command

    command.errors(model, results, benchmark, command.Judging(**vars(judging)), command.Checking(**vars(checking)))
