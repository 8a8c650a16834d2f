"""Multiple-choice problems as other data sets write them: options inside the text, keys in many spellings.

A choice becomes a row only if its options are distinct and the grader that pays the reward takes its key as right:
`options` then holds the texts in order and the answer is a letter.
"""

import re
import unicodedata
from collections.abc import Sequence
from string import ascii_uppercase

from capcurriculum import answers
from capcurriculum.grading import extract
from capcurriculum.grading.comparators.choices import by_content
from capcurriculum.reasons import Reason
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.options.options import label_inside

_PREFIX = re.compile(r"^\s*(?:[-*•]\s+)?[(\[]?([A-Za-z])[)\]]?\s?[:.)]\s*")
#: Where the image of a row goes: `<image>`, and with its number `<image1>`, `<image 1>`, `<image_1>`.
_PLACEHOLDER = re.compile(r"<\s?(?:image|img)[\s_-]?(\d{0,2})\s?/?>", re.IGNORECASE)
#: What Geo170K puts before a question; it asks for an answer format that is not ours.
_PREAMBLE = re.compile(r"^.{0,400}?\bQuestion\s*:\s*", re.IGNORECASE | re.DOTALL)
#: What some keys begin with.
_PREFIXED = re.compile(
    r"^\s*(?:【?答案】?|(?:the )?(?:correct )?(?:answer|option|choice)(?: is)?)\s*:?\s*(?=\S)", re.IGNORECASE
)
#: A letter with its text close behind it: `B.4`.
_TIGHT = re.compile(r"^([A-J])[.:、](?=\d)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_LONGEST_KEY = 200
_LONGEST_ANSWER = 60
_MOST_WORDS, _MOST_WORDS_ON_LINES = 25, 10  # of a free answer; more is a solution


def without_placeholders(problem: str) -> str:
    """The text of a problem without `<image>` or `<image1>`: a row says elsewhere that it has an image.

    At the ends and on a line of its own it is left out; inside a sentence, which would miss it, it becomes "(image)".
    """
    begin, end = 0, len(problem)
    found = list(_PLACEHOLDER.finditer(problem))
    for match in found:
        if problem[begin : match.start()].strip():
            break
        begin = match.end()
    for match in reversed(found):
        if match.start() < begin or problem[match.end() : end].strip():
            break
        end = match.start()
    text = problem[begin:end].strip()
    lines = (line for line in text.split("\n") if not _PLACEHOLDER.fullmatch(line.strip()))
    return _PLACEHOLDER.sub("(image)", "\n".join(lines)).strip()


def placeholders(text: str) -> int:
    """How many different images a text has places for."""
    return len({match[1] for match in _PLACEHOLDER.finditer(text)})


def without_preamble(problem: str) -> str:
    """A Geo170K question without the instruction before it."""
    return (
        _PREAMBLE.sub("", problem, count=1) if re.search(r"\bQuestion\s*:", problem[:420], re.IGNORECASE) else problem
    )


def cleaned(options: Sequence[str]) -> tuple[str, ...]:
    """Options without the letters some sources write before them."""
    labels = [match[1].upper() if (match := _PREFIX.match(option)) else "" for option in options]
    if labels == list(ascii_uppercase[: len(options)]):
        return tuple(_PREFIX.sub("", option, count=1).strip() for option in options)
    return tuple(option.strip() for option in options)


def distinct(options: Sequence[str]) -> bool:
    """Whether these can be options: at least two, none empty, no two alike, no more than letters."""
    known = {" ".join(option.split()).casefold() for option in options}
    return 2 <= len(options) <= len(ascii_uppercase) and len(known) == len(options) and "" not in known


def letter(key: str, options: Sequence[str]) -> str:
    """The letter a key names, by letter, by text or by both; "" when it names none or contradicts itself.

    The reward's own grader reads it, as if a model had boxed it.
    """
    key = bare(key)
    named = key.strip().upper()
    if named in set(ascii_uppercase[: len(options)]):
        # Beside an option that bears this letter as its label, the key may mean either.
        place = ascii_uppercase.index(named)
        elsewhere = any(label_inside(text) == named for at, text in enumerate(options) if at != place)
        return "" if elsewhere else named
    if _begins_several(key.strip(), options):
        return ""
    return answers.grade(rf"\boxed{{{key.strip()}}}", "A", tuple(options)).answer


def bare(key: str) -> str:
    """A key without full-width letters and without words such as "Answer:" before it."""
    if len(key) > _LONGEST_KEY:
        return key
    plain = _PREFIXED.sub("", unicodedata.normalize("NFKC", key), count=1).strip()
    return _TIGHT.sub(r"\1. ", plain)


def by_text(key: str, options: Sequence[str]) -> str:
    """The letter of the one option whose text or value a key is, whatever letter it may look like; "" for none."""
    if _begins_several(key.strip(), options):
        return ""
    return by_content(key, dict(zip(ascii_uppercase, options, strict=False)))


def _begins_several(key: str, texts: Sequence[str]) -> bool:
    """Whether a number without its unit could mean several options: `5` of `5 m` and `5 cm`."""
    if key in texts:
        return False
    begins = re.compile(rf"{re.escape(key)}(?![\d.,/])")
    return bool(_NUMBER.fullmatch(key)) and sum(bool(begins.match(text)) for text in texts) > 1


def letter_in_reply(reply: str, options: Sequence[str]) -> str:
    """The letter a worked solution ends in; "" when it states none."""
    return answers.grade(reply, "A", tuple(options)).answer


def final_answer(solution: str, mark: str, row: int) -> str:
    """What stands on the line behind the last `mark` of a worked solution (GSM8K's `####`).

    Raises:
        LineProblem: nothing does.
    """
    _, found, after = solution.rpartition(mark)
    answer = after.strip().split("\n", 1)[0].strip()
    if not found or not answer:
        raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {row} has nothing behind {mark!r} in its answer")
    return answer


def is_prose(answer: str) -> bool:
    """Whether a free answer is a paragraph, or a solution with a mark, which no reply could be expected to repeat."""
    if "####" in answer:
        return True
    said = re.findall(r"(?<![\\\w])[^\W\d_]{2,}", answer)
    return len(said) > _MOST_WORDS or (len(said) > _MOST_WORDS_ON_LINES and "\n" in answer.strip())


def answer_in_reply(reply: str) -> str:
    """The short final answer of a worked solution without options; "" when it states none."""
    _, dagger, after = reply.rpartition("†Answer:")
    said = after if dagger else extract.last_box(reply) or extract.last_statement(reply) or ""
    answer = said.strip().split("\n", 1)[0].strip().removesuffix(".").strip()
    return answer if dagger or len(answer) <= _LONGEST_ANSWER else ""
