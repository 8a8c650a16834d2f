"""The verbs that serve models, measure them, compare them, and say why their answers are wrong."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from capcurriculum.cli.app import EVALUATE, verb
from capcurriculum.cli.errors_options import Checking, Judging
from capcurriculum.cli.options import Allow, Fraction, Names, Positive, Real, Whole, opt

_HERE = "micro:start, a checkpoint's folder, a run or a recipe (its last trained model), or a Hub id"
_LABEL = "A label in the results, or FOLDER or FOLDER:LABEL, the folder of an evaluation or a run"
Results = Annotated[str | None, opt("Where the labels are: an evaluation's folder, or a run", name="--in")]


@Parameter("*", group=Group("How vLLM serves the model", sort_key=1))
@dataclass(frozen=True)
class Serving:
    """How a model is served."""

    backbone: Annotated[str, opt("Whose lengths and image limits hold (default: the model's)")] = ""
    tensor_parallel: Annotated[Positive | None, opt("GPUs that share the model (default: the backbone's)")] = None
    gpu_memory: Annotated[Fraction | None, opt("The share of each GPU's memory to use (default: 0.9)")] = None
    max_length: Annotated[Positive | None, opt("Tokens of a prompt and its reply (default: the backbone's)")] = None
    patience: Annotated[Real, opt("Seconds until the server must be ready")] = 900
    system: Annotated[bool | None, opt("Whether the system prompt precedes questions (default: yes, except for a base "
                                       "model)", negative="--no-system")] = None  # fmt: skip


_DEFAULTS = Serving()


@verb("serve demo --port 8001", EVALUATE)
def serve(
    model: Annotated[str, opt(f"One of {_HERE}")], /, *,
    port: Annotated[Whole, opt("The port; 0 finds a free one")] = 8000,
    images: Annotated[Positive, opt("The most images of a request, one in training")] = 1,
    python: Annotated[str, opt("The interpreter of the environment that vLLM is in (default: this one)")] = "",
    dry_run: Annotated[bool, opt("Print the command, and start nothing")] = False,
    serving: Serving = _DEFAULTS,
) -> None:  # fmt: skip
    """Serve a model with vLLM as training saw it, until Ctrl-C."""
    from evaluation.serving import serve as room
    from evaluation.serving.models import find
    from evaluation.serving.vllm_command import ServeOptions

    options = ServeOptions(port, serving.tensor_parallel, serving.gpu_memory, images, serving.max_length, python)
    target = find(model, serving.backbone, serving.system, weigh=False)
    room.serve(target, options, serving.patience, dry_run=dry_run)


@verb("evaluate micro:hedging demo --suite demo", EVALUATE)
def evaluate(
    model: Annotated[list[str], opt(f"One or more of {_HERE}, or LABEL=URL for a running endpoint")], /, *,
    suite: Annotated[str, opt("main, extended, a suite's YAML file, a TSV or Parquet file, or a run: its test rows")],
    out: Annotated[Path | None, opt("The folder of results (default: the run's evaluation/, or evaluations/)")] = None,
    engine: Annotated[str | None, opt("Default: the suite's", choices=("own", "vlmevalkit", "lmms-eval"))] = None,
    judge: Annotated[str, opt("One of the suite, MODEL@URL, bedrock:ID, or exact (default: the suite's)")] = "",
    limit: Annotated[Positive | None, opt("Only the first samples of a benchmark, this many")] = None,
    max_tokens: Annotated[Positive | None, opt("The most tokens of a reply (default: the backbone's)")] = None,
    runner: Annotated[str, opt("What runs a model that the own engine asks", name="--with",
                               choices=("transformers", "vllm", "serve"))] = "",
    concurrency: Annotated[Positive, opt("The number of requests at a time to a server")] = 32,
    python: Annotated[str, opt("The interpreter of the kit's environment (default: evaluation.python)")] = "",
    dry_run: Annotated[bool, opt("Print what would be asked of which model, and the commands; ask nothing")] = False,
    allow: Allow = False,
    serving: Serving = _DEFAULTS,
) -> None:  # fmt: skip
    """Ask models the benchmarks of a suite, or resume where an evaluation stopped."""
    from capcurriculum.render.progress import Display
    from evaluation import evaluate as room
    from evaluation import suites
    from evaluation.job import Job
    from evaluation.serving.vllm_command import ServeOptions

    targets = room.targets(model, serving.backbone, serving.system)
    server = ServeOptions(
        tensor_parallel=serving.tensor_parallel, gpu_memory=serving.gpu_memory, max_length=serving.max_length
    )
    folder, tasks = out or room.default_folder(targets), suites.load(suite)
    job = Job(
        folder, tasks, Display(), limit, max_tokens, runner, concurrency, judge, python, server,
        dry_run, serving.patience,
    )  # fmt: skip
    room.evaluate(job, targets, engine or tasks.engine, suite, allow=allow)


@verb('compare micro:hedging "demo after visual" --in demo', EVALUATE)
def compare(
    model: Annotated[list[str], opt(f"Two or more, the first to compare with: {_LABEL}")], /, *,
    results: Results = None,
    published: Annotated[str | None, opt("The base model whose numbers in the paper are shown, or none")] = None,
    out: Annotated[Path | None, opt("The folder for tables and plots (default: below the results)")] = None,
) -> None:  # fmt: skip
    """Compare evaluated models: scores, paired gains with intervals, lengths of replies."""
    from evaluation.compare import command

    command.compare(model, results, published, out)


_JUDGING, _CHECKING = Judging(), Checking()


@verb('errors "demo after visual" --in demo --judge teacher', EVALUATE)
def errors(
    model: Annotated[str, opt(_LABEL)], /, *,
    results: Results = None,
    benchmark: Annotated[Names, opt("Only this benchmark (may be repeated)")] = (),
    judging: Judging = _JUDGING,
    checking: Checking = _CHECKING,
) -> None:  # fmt: skip
    """Find out why answers of a model are wrong: judges vote on each, people check a sample."""
    from evaluation.errors import command

    command.errors(model, results, benchmark, judging, checking)
