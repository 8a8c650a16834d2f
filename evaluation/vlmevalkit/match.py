"""`PYTHON match.py`, run by VLMEvalKit's Python: the option that the kit extracts from a reply without a judge.

Reads JSON lines, each a reply and its options by letter; prints the letter for each, "Z" where the kit finds none.
"""

import json
import sys

from vlmeval.utils.matching_util import can_infer


def main() -> None:
    """Entry point."""
    for line in sys.stdin:
        reply, options = json.loads(line)
        print(can_infer(reply, dict(options)) or "Z")


if __name__ == "__main__":
    main()
