"""How the corpus of bad inputs comes out: `python -m benchmarks bad_inputs_tried bad_input_tracebacks ...`."""

import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

from tests.cli.bad_inputs import corpus


@cache
def _counts() -> Counter[str]:
    counts = Counter[str]()
    for name, case in corpus.cases().items():
        with tempfile.TemporaryDirectory() as folder:
            found = corpus.attempt(case, Path(folder).resolve())
        counts["tried"] += 1
        counts[found.fault] += 1
        if found.fault:
            print(f"{found.fault}: {name} ({found.seconds:.1f} s, exit code {found.code})")
    return counts


def counted(what: str) -> float:
    """Cases "tried", or those that ended in a "traceback", "silent" or as a "hang"."""
    return float(_counts()[what])
