r"""How far the grader agrees with answers and gold answers that others wrote: what is refused, what is let through.

The files are not part of this repository. `CAPCURRICULUM_OTHERS` names a folder with `grading/cases.jsonl` (one case a
line: text, gold, options, expected, source, adjudged) and `real/` (ORZ, MATH-500 and GSM8K as their owners publish
them); without it every number here is None. `python -m benchmarks.grading_world` prints every disagreement.
"""

import json
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

from capcurriculum.answers import grade
from capcurriculum.grading.comparing import compare
from capcurriculum.rows import Outcome

VARIABLE = "CAPCURRICULUM_OTHERS"
_NOT_COUNTED = ("drop", "arguable", "policy")
PAIRS = 5_000


@dataclass(frozen=True, slots=True)
class Case:
    """A reply that others graded; `counted` is False where the label can be argued about."""

    text: str
    gold: str
    options: tuple[str, ...]
    right: bool
    source: str
    counted: bool


def folder() -> Path | None:
    """Where the files of others lie."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


@cache
def cases() -> tuple[Case, ...]:
    """All cases; none without the files."""
    root = folder()
    path = root / "grading" / "cases.jsonl" if root else None
    if path is None or not path.is_file():
        return ()
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return tuple(
        Case(
            row["text"], row["gold"], tuple(row["options"] or ()), row["expected"] == "right", row["source"],
            not row["adjudged"].startswith(_NOT_COUNTED),
        )
        for row in rows
    )  # fmt: skip


Grader = Callable[[Case], bool]


def ours(case: Case) -> bool:
    """This package's verdict."""
    return grade(case.text, case.gold, case.options).outcome is Outcome.RIGHT


def math_verify(case: Case) -> bool:
    """math-verify's, called as verl's own reward calls it; options take part as their letter."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig
    from math_verify.metric import math_metric

    verify = math_metric(
        gold_extraction_target=(LatexExtractionConfig(),),
        pred_extraction_target=(ExprExtractionConfig(), LatexExtractionConfig()),
    )
    try:
        score, _ = verify([f"\\boxed{{{case.gold}}}"], [case.text])
    except Exception:  # what it raises is a reply it does not pay
        return False
    return bool(score)


def mathruler(case: Case) -> bool:
    """mathruler's, called as EasyR1's reward calls it."""
    from mathruler.grader import extract_boxed_content, grade_answer

    return bool(grade_answer(extract_boxed_content(case.text), case.gold))


GRADERS: dict[str, Grader] = {"ours": ours, "math-verify": math_verify, "mathruler": mathruler}


@cache
def _verdicts() -> tuple[tuple[Case, bool], ...]:
    return tuple((case, ours(case)) for case in cases() if case.counted)


def agreement() -> float | None:
    """The share of counted cases on which the grader and the label agree."""
    found = _verdicts()
    return sum(case.right == said for case, said in found) / len(found) if found else None


def false_right() -> int | None:
    """Counted cases that are accepted though wrong."""
    return sum(said and not case.right for case, said in _verdicts()) if cases() else None


@cache
def golds() -> tuple[str, ...]:
    """Gold answers of ORZ, MATH-500 and GSM8K, each once, in their order."""
    root = folder()
    if root is None or not (root / "real").is_dir():
        return ()
    return tuple(dict.fromkeys(gold.strip() for gold in _golds(root / "real") if gold and gold.strip()))


def _golds(real: Path) -> Iterator[str]:
    for conversation in json.loads((real / "orz" / "orz_math_57k_collected.json").read_text(encoding="utf-8")):
        for turn in conversation:
            if "ground_truth" in turn:
                yield turn["ground_truth"]["value"]
    for line in (real / "math500" / "test.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)["answer"]
    for line in (real / "gsm8k" / "slice300.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)["answer"].rpartition("####")[2]


_COMMANDS = re.compile(r"\\(?:[dtc]?frac|sqrt|pi|cdot|times|left|right|circ)(?![A-Za-z])")


def _is_value(gold: str) -> bool:
    """Whether a gold answer is a number in digits, roots, fractions and pi, without a unit."""
    said = re.search(r"\d|\\pi", gold) and r"\circ" not in gold
    return bool(said) and not re.search(r"[A-Za-z,=<>%$\\:]", _COMMANDS.sub("", gold))


def _integer(gold: str) -> int | None:
    return int(gold) if re.fullmatch(r"-?\d{1,15}", gold) else None


def respelled(gold: str) -> dict[str, str]:
    """The gold answer in those of eight spellings that change it and keep its meaning."""
    found = {"spacing": re.sub(r"\s*(=|\+|,(?!\d{3}(?!\d))|(?<=[\w})])-(?=[\w\\]))\s*", r" \1 ", gold)}
    if r"\text" in gold or r"\mbox" in gold or r"\!" in gold or re.search(r"[A-Za-z]-[A-Za-z]", gold):
        found["spacing"] = f" {gold} "
    found["dfrac"] = re.sub(r"\\[tc]?frac(?![A-Za-z])", r"\\dfrac", gold)
    whole = _integer(gold)
    if _is_value(gold):
        found["units"] = gold + r" \text{ cm}"
        found["x ="] = f"x = {gold}"
    if "\\" not in gold and "$" not in gold:
        found["text"] = rf"\text{{{gold}}}"
    if whole is not None:
        found["decimals"] = f"{whole}.0"
        found["thousands"] = f"{whole:,}"
    fraction = re.fullmatch(r"(-?)\\frac\{(\d{1,6})\}\{(\d{1,6})\}", gold)
    if fraction and int(fraction[3]) and Fraction(10**6, int(fraction[3])).denominator == 1:
        found["decimals"] = fraction[1] + str(int(fraction[2]) / int(fraction[3]))
    found["full stop"] = gold + "."
    return {name: text for name, text in found.items() if text != gold}


@cache
def _real() -> tuple[tuple[str, str, str, str], ...]:
    """(gold, spelling, text, outcome) of every gold answer as it is and in every spelling."""
    found = []
    for gold in golds():
        for name, text in {"itself": gold, **respelled(gold)}.items():
            outcome = grade(rf"<think>t</think> \boxed{{{text}}}", gold).outcome
            found.append((gold, name, text, outcome.value))
    return tuple(found)


def real_golds() -> float | None:
    """The share of real gold answers, in every spelling, that are right against themselves."""
    found = _real()
    return sum(outcome == "right" for *_, outcome in found) / len(found) if found else None


@cache
def accepted() -> tuple[tuple[str, str], ...]:
    """Of 5,000 pairs of different gold answers, those taken for equal: half at random, half next to each other."""
    known = golds()
    if not known:
        return ()
    draw = random.Random(5)
    near = sorted(known, key=_without_layout)
    pairs = [(one, other) for gap in (1, 2, 3) for one, other in zip(near, near[gap:], strict=False)][: PAIRS // 2]
    while len(pairs) < PAIRS:
        one, other = draw.sample(known, 2)
        pairs.append((one, other))
    return tuple((one, other) for one, other in pairs if compare(one, other)[0] is Outcome.RIGHT)


def _without_layout(gold: str) -> str:
    return re.sub(r"\\[dtc]?frac|\\left|\\right|[\s{}\\$]", "", gold)


def _core(gold: str) -> str:
    """What an answer says without its name, unit and layout, for showing two equal in another way than the grader."""
    text = re.sub(
        r"\\(?:text|mbox)\s?\{[^}]*\}(?:\^\{?\d\}?)?|\^\{?\\circ\}?|\\[,!;]|\\left|\\right|\\?\$|\\?%", "", gold
    )
    text = re.sub(r"\\[dtc]frac", r"\\frac", text).replace(" ", "").replace("{,}", "")
    text = re.sub(r"^\(([A-J])\).*", r"\1", text)
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = re.sub(r"^\\?[A-Za-z]+(?:_\{?\w+\}?)?(?:\(\w+\))?=(?=[^=]+$)", "", text)
    text = re.sub(r"\\frac(\d)(\d)$", r"\\frac{\1}{\2}", text)
    return text.strip("()") if "," not in text else text


def cross() -> int | None:
    """Pairs of different gold answers taken for equal that are not shown to be equal by writing them alike."""
    return sum(_core(one) != _core(other) for one, other in accepted()) if golds() else None


def _mixed_replies(count: int) -> list[tuple[str, str]]:
    """(answer, gold): answers that need digits, points and math-verify, one in a hundred endless."""
    draw = random.Random(7)
    made = []
    for number in range(count):
        a, b = draw.randint(2, 40), draw.randint(2, 40)
        gold, answer = draw.choice(
            [
                (f"{a}", f"{a}.0"),
                (rf"{a}\sqrt{{{b}}}", rf"\sqrt{{{a * a * b}}}"),
                (f"(x+{a})(x-{b})", f"x^2+{a - b}x-{a * b}"),
                (rf"\int_0^{{{a}}} x\,dx", rf"\frac{{{a * a}}}{{2}}"),
                (rf"\lim_{{x \to 0}} \frac{{\sin {a}x}}{{x}}", f"{a if b % 2 else a + 1}"),
                (rf"\sum_{{k=1}}^{{{a}}} k", f"{a * (a + 1) // 2}"),
            ]
        )
        if number % 100 == 50:
            gold, answer = rf"\sum_{{k=1}}^{{{a}}} k", rf"\sum_{{k=1}}^{{{9000 + number}}} \sqrt{{k+{b}}}"
        made.append((answer, gold))
    return made


def order_flips(count: int = 1_000) -> int:
    """Verdicts of 1,000 answers, 1 % endless, that differ between an idle run, a shuffled one and one of 32 threads."""
    from capcurriculum.grading.workers import algebra

    made = _mixed_replies(count)
    runs = []
    for threads, seed in ((1, None), (1, 3), (32, 4)):
        algebra.shut_down()
        order = list(range(count))
        if seed is not None:
            random.Random(seed).shuffle(order)
        with ThreadPoolExecutor(threads) as pool:
            verdicts = pool.map(lambda place: compare(*made[place])[0], order)
            runs.append(dict(zip(order, verdicts, strict=True)))
    algebra.shut_down()
    return sum(len({run[place] for run in runs}) > 1 for place in range(count))


def table() -> str:
    """Agreement of each grader by source of the cases, as Markdown."""
    counted = [case for case in cases() if case.counted]
    sources = list(dict.fromkeys(case.source for case in counted))
    hits: dict[str, Counter[str]] = {name: Counter() for name in GRADERS}
    wrong: dict[str, Counter[str]] = {name: Counter() for name in GRADERS}
    for name, grader in GRADERS.items():
        for case in counted:
            said = grader(case)
            hits[name][case.source] += said == case.right
            wrong[name]["accepted"] += said and not case.right
            wrong[name]["refused"] += case.right and not said
    lines = ["| cases | n | " + " | ".join(GRADERS) + " |", "|---" * (len(GRADERS) + 2) + "|"]
    for source in sources:
        n = sum(case.source == source for case in counted)
        lines.append(f"| {source} | {n} | " + " | ".join(str(hits[name][source]) for name in GRADERS) + " |")
    shares = [f"{100 * sum(hits[name].values()) / len(counted):.1f} %" for name in GRADERS]
    lines.append(f"| all | {len(counted)} | " + " | ".join(shares) + " |")
    for word in ("accepted", "refused"):
        label = f"{word} though {'wrong' if word == 'accepted' else 'right'}"
        lines.append(f"| {label} | | " + " | ".join(str(wrong[name][word]) for name in GRADERS) + " |")
    return "\n".join(lines)


def main(words: Sequence[str]) -> None:
    """Print every disagreement, and with `table` the comparison with other graders."""
    if "table" in words:
        print(table())
        return
    for case, said in _verdicts():
        if said != case.right:
            graded = grade(case.text, case.gold, case.options)
            print(f"{case.source}: {'right' if case.right else 'wrong'}, ours {graded}; gold {case.gold!r}")
    for gold, name, text, outcome in _real():
        if outcome != "right":
            print(f"real gold {gold!r} as {name} {text!r}: {outcome}")
    for one, other in accepted():
        if _core(one) != _core(other):
            print(f"taken for equal: {one!r} and {other!r}")
    print(f"agreement {agreement()}, accepted though wrong {false_right()}, real golds {real_golds()}, cross {cross()}")


if __name__ == "__main__":
    main(sys.argv[1:])
