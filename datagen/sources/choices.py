"""Multiple-choice problems as other data sets write them: options inside the text, keys in many spellings.

A choice becomes a row only if its options can be told apart and the grader that pays the reward takes its key as right:
`options` then holds the texts in order and the answer is a letter.
"""

import re
from collections.abc import Sequence
from string import ascii_uppercase

from capcurriculum import answers
from capcurriculum.grading import extract
from capcurriculum.grading.comparators.choices import by_content
from capcurriculum.reasons import Reason
from datagen.sources.lines import LineProblem

#: Where the options begin, as the sources say it.
_HEADING = re.compile(
    r"(?:\b(?:choices|options)\s*:|choose from the following options:?|from the following options:?)\s*",
    re.IGNORECASE,
)
#: Labels before options; `@` is their letter.
_LABEL = r"[(\[]?@[)\]]?\s?[:.)]\s*"
_PREFIX = re.compile(r"^\s*(?:[-*•]\s+)?[(\[]?([A-Za-z])[)\]]?\s?[:.)]\s*")
#: Where the picture of a row goes: `<image>`, and with its number `<image1>`, `<image 1>`, `<image_1>`.
_PLACEHOLDER = re.compile(r"<\s?(?:image|img)[\s_-]?(\d{0,2})\s?/?>", re.IGNORECASE)
#: What Geo170K puts before a question; it asks for an answer format that is not ours.
_PREAMBLE = re.compile(r"^.{0,400}?\bQuestion\s*:\s*", re.IGNORECASE | re.DOTALL)
#: `\\textbf{(A)}`, `\\mathrm{(A) \\ }`, `(\\text{A})`, `{\\bf (A)}`, as competitions set their choices.
_FONT = (
    r"(?:\\(?:textbf|textrm|textsf|text|mathbf|mathrm|mathsf|bf|rm|bold|boldsymbol)\s*\{|\{\s*\\(?:bf|rm|bfseries)\s)"
)
_SPACE = r"(?:\s|~|\\[ ,;:!]|\\q?quad|\{\s*\})*"
_SET_LABEL = (
    rf"\$?\s*(?:\(\s*{_FONT}\s*@\s*\}}\s*\)"
    rf"|{_FONT}{_SPACE}(?:\(\s*@\s*\)|@\s*[).]){_SPACE}\}})[.:]?"
)
_BRACKETED = r"(?:^|(?<=[\s$~}]))\(@\)"
_AROUND = re.compile(rf"^(?:[:.]|{_SPACE}\$*)+|(?:\$*{_SPACE}|[;,]|\\\\|\\(?:newline|hfill))+$")
_FEWEST = 3
_LONGEST_ANSWER = 60
_MOST_WORDS, _MOST_WORDS_ON_LINES = 25, 10  # of a free answer; more is a solution


def without_placeholders(problem: str) -> str:
    """The text of a problem without `<image>` or `<image1>`: a row says elsewhere that it has an image.

    At the ends and on a line of its own it is left out; inside a sentence, which would miss it, it becomes "(image)".
    """
    text = problem.strip()
    while (match := _PLACEHOLDER.match(text)) is not None:
        text = text[match.end() :].lstrip()
    while (found := list(_PLACEHOLDER.finditer(text))) and found[-1].end() == len(text):
        text = text[: found[-1].start()].rstrip()
    lines = (line for line in text.split("\n") if not _PLACEHOLDER.fullmatch(line.strip()))
    return _PLACEHOLDER.sub("(image)", "\n".join(lines)).strip()


def placeholders(text: str) -> int:
    """How many different pictures a text has places for."""
    return len({match[1] for match in _PLACEHOLDER.finditer(text)})


def without_preamble(problem: str) -> str:
    """A Geo170K question without the instruction before it."""
    return (
        _PREAMBLE.sub("", problem, count=1) if re.search(r"\bQuestion\s*:", problem[:420], re.IGNORECASE) else problem
    )


def in_text(problem: str) -> tuple[str, ...]:
    r"""The options written at the end of a problem, A first; empty if there are none that can be told apart.

    They stand one a line, all in one line after a heading such as `Choices:`, or anywhere with labels that are set as
    those of competitions, `\textbf{(A)}` or `(A)`.
    """
    headings = list(_HEADING.finditer(problem))
    listed = _split(problem[headings[-1].end() :], r"(?:^|[\n\s])", _LABEL) if headings else ()
    listed = listed or _split(problem, r"(?:^|\n)\s*", _LABEL)
    return listed or _set(problem)


def is_set(problem: str) -> bool:
    """Whether a problem's options are set so that they can be nothing else: as competitions do, or four in brackets."""
    return bool(_labelled(problem, _SET_LABEL)) or len(_labelled(problem, _BRACKETED)) > _FEWEST


def _set(problem: str) -> tuple[str, ...]:
    return _labelled(problem, _SET_LABEL) or _labelled(problem, _BRACKETED)


def _split(text: str, before: str, label: str) -> tuple[str, ...]:
    """Texts between the labels A, B, C, ... in that order, at least two, none empty."""
    starts: list[tuple[int, int]] = []
    place = 0
    for letter in ascii_uppercase:
        match = re.compile(before + label.replace("@", letter)).search(text, place)
        if match is None:
            break
        starts.append((match.start(), match.end()))
        place = match.end()
    ends = [start for start, _ in starts[1:]] + [len(text)]
    options = tuple(text[start:end].strip() for (_, start), end in zip(starts, ends, strict=True)) if starts else ()
    return options if distinct(options) else ()


def _labelled(text: str, label: str) -> tuple[str, ...]:
    """The same for labels inside formulas: three at least, and spaces, dollars and separators taken off."""
    options = tuple(_AROUND.sub("", option).strip() for option in _split(text, "", label))
    return options if len(options) >= _FEWEST and distinct(options) else ()


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
    if key.strip().upper() in set(ascii_uppercase[: len(options)]):
        return key.strip().upper()
    return answers.grade(rf"\boxed{{{key.strip()}}}", "A", tuple(options)).answer


def by_text(key: str, options: Sequence[str]) -> str:
    """The letter of the one option whose text or value a key is, whatever letter it may look like; "" for none."""
    return by_content(key, dict(zip(ascii_uppercase, options, strict=False)))


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
    """Whether a free answer is a paragraph, which no reply could be expected to repeat."""
    said = re.findall(r"(?<![\\\w])[^\W\d_]{2,}", answer)
    return len(said) > _MOST_WORDS or (len(said) > _MOST_WORDS_ON_LINES and "\n" in answer.strip())


def answer_in_reply(reply: str) -> str:
    """The short final answer of a worked solution without options; "" when it states none."""
    _, dagger, after = reply.rpartition("†Answer:")
    said = after if dagger else extract.last_box(reply) or extract.last_statement(reply) or ""
    answer = said.strip().split("\n", 1)[0].strip().removesuffix(".").strip()
    return answer if dagger or len(answer) <= _LONGEST_ANSWER else ""
