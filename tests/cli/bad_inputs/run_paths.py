"""Run folders whose names a library could take for a pattern, an address, a partition or an option."""

from collections.abc import Callable, Iterator
from pathlib import Path

from capcurriculum.rows import Verdict
from tests.cli.bad_inputs.built import QUESTIONS, copied
from tests.cli.bad_inputs.corpus import Case

#: Name -> another that it would fit as a pattern, "" for none.
NAMES = {
    "a[1]": "a1",
    "a[!x]": "ab",
    "a[0-9]": "a7",
    "[[]": "[",
    "a*": "abc",
    "*": "other",
    "**": "other",
    "a?": "ab",
    "{a,b}": "a",
    "a]b[": "",
    "stage=text": "",
    "k=1": "",
    "s3:": "",
    "hf:": "",
    "file:": "",
    "_hidden": "",
    ".hidden": "",
    "with space": "",
    "it's": "",
    'a"b': "",
    "a;b": "",
    "a%20b": "a b",
    "a#b": "a",
    "~": "",
    "$HOME": "",
    "a\\b": "",
    "ключ": "",
    "a,b": "",
}


def _beside(name: str, other: str, *words: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        run = copied(folder, name)
        if other:
            trap = copied(folder, other)
            trap.questions.append([*trap.questions.rows()])
            trap.verdicts.append([Verdict("trap", "text", "trap", False, "trap")])
        return [words[0], str(run.path.relative_to(folder) if ":" in name else run.path), *words[1:]]

    return make


def _cases() -> Iterator[Case]:
    count = "select count(*) as n, count(distinct question_id) as d from "
    for name, other in NAMES.items():
        for view in ("questions", "stages"):
            words = ("query", count + view)
            yield Case(f"{name}: {view}", _beside(name, other, *words), rf"n d {QUESTIONS} {QUESTIONS}$", code=0)
        yield Case(f"{name}: funnel", _beside(name, other, "funnel"), r"^(?!.*trap).*text +train", code=0)
    for name in ("a[1]", "a*", "k=1"):
        yield Case(f"{name}: verify", _beside(name, NAMES[name], "verify"), r"questions 1 0 0", code=0)
        yield Case(f"{name}: status", _beside(name, NAMES[name], "status"), rf"questions {QUESTIONS} 1 ", code=0)


CASES = [*_cases()]
