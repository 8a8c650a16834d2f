"""The command of a comparison over seeds: what is missing is trained, a file a seed, and the page of all is printed."""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from capcurriculum.tables import write_atomically


def command(
    module: str,
    doc: str | None,
    seeds: Sequence[int],
    state: Path,
    train: Callable[[int, Path], object],
    page: Callable[[Path], Iterable[str]],
) -> None:
    """Run `python -m module [--seeds ...] [--state FOLDER]`.

    `train` gives what a seed and the start's checkpoint came to, as JSON; `page` the lines on a folder of state.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=doc)
    default = " ".join(map(str, seeds))
    parser.add_argument("--seeds", type=int, nargs="*", default=list(seeds), help=f"seeds (default {default})")
    parser.add_argument("--state", type=Path, default=state, help=f"the folder of all state (default {state})")
    asked = parser.parse_args()
    missing = [seed for seed in asked.seeds if not (asked.state / f"seed-{seed}.json").is_file()]
    if missing:
        import torch

        from benchmarks import curricula_start

        torch.set_num_threads(1)
        asked.state.mkdir(parents=True, exist_ok=True)
        start = curricula_start.start(asked.state / "start")
        for seed in missing:
            write_atomically(asked.state / f"seed-{seed}.json", json.dumps(train(seed, start)).encode())
            print(f"seed {seed} finished", flush=True)
    print("\n".join(page(asked.state)))
