"""The same question with its options rotated, so that a preference for a letter cannot pass for knowledge.

Rotation by one moves every option, the right one included, to another letter.
"""

from capcurriculum import prompts
from capcurriculum.rows import LETTERS, Question


def rotated(question: Question, order: int) -> tuple[str, tuple[str, ...], str]:
    """Problem text, options and gold answer with the options moved `order` letters up.

    A problem without options has one order only and comes back as it is.
    """
    if not order or not question.options:
        return question.problem, question.options, question.answer
    options = tuple(question.options[(place + order) % len(LETTERS)] for place in range(len(LETTERS)))
    answer = LETTERS[(LETTERS.index(question.answer) - order) % len(LETTERS)]
    return prompts.choice(question.text, dict(zip(LETTERS, options, strict=True))), options, answer


def written(letter: str, order: int) -> str:
    """The letter that stands in the question as it is written for the one that was named under rotation `order`."""
    return LETTERS[(LETTERS.index(letter) + order) % len(LETTERS)] if order and letter in LETTERS else letter
