"""The options of `serve` and `evaluate`, apart from the room that carries them out so that `--help` stays light."""

import argparse
from pathlib import Path

#: What every verb says of its `--allow`.
ALLOW = "let this call run and send what the recipe names (see `capcurriculum allow`), without asking"
_HERE = "micro:start, a checkpoint's folder, a run or recipe (its last trained model), a Hub id"


def serve(parser: argparse.ArgumentParser) -> None:
    """Of `capcurriculum serve`; `evaluation.serving.serve` reads them."""
    add = parser.add_argument
    add("model", help=_HERE)
    _server(parser)
    add("--port", type=int, default=8000, help="0 finds a free one (default 8000)")
    add(
        "--images",
        type=_positive,
        default=1,
        metavar="N",
        help="the most images of a request (default 1, as in training)",
    )
    add("--python", metavar="FILE", help="the interpreter of the environment that vLLM is in (default: this one)")
    add("--dry-run", action="store_true", help="print the command, and start nothing")


def evaluate(parser: argparse.ArgumentParser) -> None:
    """Of `capcurriculum evaluate`; `evaluation.evaluate` reads them."""
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL", help=f"{_HERE}, or LABEL=URL for an endpoint that is up")
    add(
        "--suite",
        required=True,
        help="main or extended (the paper's), a suite's YAML file, a TSV or Parquet file, or a run: its test rows",
    )
    add("--out", type=Path, metavar="FOLDER", help="where results go (default: the run's evaluation/, or evaluations/)")
    add("--engine", choices=("own", "vlmevalkit", "lmms-eval"), help="who asks and grades (default: the suite's)")
    add("--judge", metavar="NAME", help="one of the suite's, MODEL@URL, bedrock:ID, or exact (default: the suite's)")
    add("--limit", type=_positive, metavar="N", help="only the first N samples of a benchmark")
    add("--max-tokens", type=_positive, metavar="N", help="of a reply (default: the backbone's longest)")
    add("--with", dest="runner", choices=("transformers", "vllm", "serve"), help="what runs a model that own asks")
    add("--concurrency", type=_positive, default=32, metavar="N", help="requests at a time to a server (default 32)")
    add("--python", metavar="FILE", help="the interpreter of the kit's environment (default: evaluation.python)")
    add("--dry-run", action="store_true", help="print what would be asked of whom, and the commands; ask nothing")
    add("--allow", action="store_true", help=ALLOW)
    _server(parser)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share above 0 and up to 1")
    return value


def _server(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--backbone", metavar="B", help="whose lengths and image limits hold (default: told by the model)")
    add("--tensor-parallel", type=_positive, metavar="N", help="GPUs that share the model (default: the backbone's)")
    add("--gpu-memory", type=_share, metavar="SHARE", help="of each GPU (default 0.9)")
    add(
        "--max-length",
        type=_positive,
        metavar="TOKENS",
        help="of a prompt and its reply (default: the backbone's longest)",
    )
    add("--patience", type=float, default=900, metavar="SECONDS", help="until it must be ready (default 900)")
    add(
        "--system",
        action=argparse.BooleanOptionalAction,
        help="the unified system prompt before every question (default: yes, unless it is a backbone's base model)",
    )
