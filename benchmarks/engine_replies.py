"""1,000 replies that every engine scores: the examples of docs/grading.md, replies that want to be paid, odd notations.

Golds are of every kind, with and without options, with and without the kind that their source names. Replies are right,
wrong, unparsed and, where two numbers are too large to be compared, failed.
"""

import json
from itertools import islice

from benchmarks import reward_replies
from tests.capcurriculum.grading import test_policy
from tests.support.adversarial_replies import adversaries

COUNT = 1_000
_FORMS = (r"<think>So.</think> \boxed{%s}", r"\boxed{%s}", "<think>So.</think> The answer is %s.", "%s")


def lines() -> str:
    """The replies as JSON lines: reply, ground_truth, options, kind ("" where it is not named)."""
    examples = [
        (_FORMS[number % 4] % answer, gold, (), heading if number % 3 == 0 and "," not in heading else "")
        for number, (heading, gold, answer, _) in enumerate(test_policy.examples())
    ]
    tricks = [(one.reply, one.gold, one.options, "") for one in adversaries()[::6]]
    towers = [(rf"\boxed{{{base}^{{9^{{9^{{9}}}}}}}}", "9^{9^{9^{9}}}", (), "") for base in range(2, 7)]
    pairs = zip(reward_replies.choices(COUNT), reward_replies.maths(COUNT), strict=True)
    rest = [(one.text, one.gold, one.options, "") for pair in pairs for one in pair]
    rows = list(islice([*examples, *tricks, *towers, *rest], COUNT))
    names = ("reply", "ground_truth", "options", "kind")
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)
