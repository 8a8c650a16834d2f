"""`PYTHON hits.py KIND FILE`, run by VLMEvalKit's Python: which rows of a judged file the kit counts as right.

MathVista and MathVision write no such column, so their check is called on each row, as their score does. Prints one
JSON object: sample id -> true or false.
"""

import importlib
import json
import sys

from vlmeval.smp import load

KINDS = {"mathvista": "vlmeval.dataset.utils.mathvista", "mathvision": "vlmeval.dataset.utils.mathv"}


def main() -> None:
    """Entry point."""
    check = importlib.import_module(KINDS[sys.argv[1]]).post_check
    rows = load(sys.argv[2])
    print(json.dumps({str(row["index"]): bool(check(row, prefetch=False)) for _, row in rows.iterrows()}))


if __name__ == "__main__":
    main()
