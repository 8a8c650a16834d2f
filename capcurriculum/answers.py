r"""A model's text -> an answer -> right, wrong, unparsed or failed. Used alike for pass rates, filters and rewards.

Strict, because a guess in the parser becomes a wrong label in the data. A choice is read from the last `\boxed{}`; else
from the last explicit final statement; else from a reply that *is* a letter or an option's text; all else is UNPARSED.
Only text after the thinking counts. With options no algebra is ever asked; without, see `capcurriculum.maths`.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from string import ascii_uppercase

from capcurriculum import answer_text, maths
from capcurriculum.maths_text import canonical, unwrapped
from capcurriculum.rows import Outcome

Options = Sequence[str] | Mapping[str, str]

_LONGEST_CHOICE = 4000  # characters; what is longer is an essay in a box
_LONGEST_SHORT_ANSWER = 200
_EDGE = " \t\r\n*_`$\"'“”‘’"
_TYPESETTING = re.compile(r"\*\*|~|\\[ ,;:!()\[\]]")
_PAIRS = {"(": ")", "[": "]", "{": "}", "（": "）"}
_LETTER_FIRST = re.compile(
    r"^(?:option |choice )?[(\[]?([A-Za-z])(?:[)\]][.:]?|[.:)])(?:\s+|(?<=:)|$)(.*)$", re.IGNORECASE | re.DOTALL
)
_LETTER_DASH = re.compile(r"^[(\[]?([A-Za-z])[)\]]?\s*[-–—,;:.)]?\s*(.+)$", re.DOTALL)
_LETTER_CLAUSE = re.compile(
    r"^[*_]{0,3}(?:option |choice )?[(\[]?([A-Za-z])[)\]]?[*_]{0,3}[.,;:!](?:\s+(.*))?$", re.IGNORECASE | re.DOTALL
)
#: What may not follow a letter: a second letter, a joining word, an operator. "A, B" and "(a) + b" choose nothing.
_SECOND_CHOICE = re.compile(
    r"^(?:(?:and|or|nor|but|not)\b|(?:is|was)\s+(?:not|wrong|incorrect|false)\b|[-+*/=^<>&]"
    r"|[(\[]?[A-Za-z][)\]]?(?:$|[.,;:)]|\s(?:and|or)\b))",
    re.IGNORECASE,
)
_LONE_CAPITAL = re.compile(r"(?<![\w'’])[A-Z](?![\w'’])")


@dataclass(frozen=True, slots=True)
class Grade:
    """What a reply is worth.

    `answer` is the letter chosen, or the maths answer as written, or "" when there is none; `detail` says why an
    outcome is UNPARSED or FAILED, and is "" otherwise.
    """

    outcome: Outcome
    answer: str
    detail: str = ""


def grade(text: str, gold: str, options: Options | None = None) -> Grade:
    """Grade one reply.

    Args:
        text: the whole reply, thinking included.
        gold: with options the letter of the right one, else the right answer in LaTeX or plain text.
        options: texts in the order A, B, C, ... or a mapping from letter to text; None or empty for a free answer.

    Raises:
        ValueError: `gold` is not the letter of an option, or the options have no letters: the caller's data is wrong.
        EngineError: the maths worker cannot start at all. No text ever raises.
    """
    final = answer_text.after_thinking(text)
    if not options:
        return _grade_free(final, gold)
    lettered = _lettered(options)
    letter = gold.strip().upper()
    if letter not in lettered:
        raise ValueError(f"The gold answer {gold!r} is not the letter of an option ({', '.join(lettered)}).")
    chosen, detail = _choice(final, lettered)
    if not chosen:
        return Grade(Outcome.UNPARSED, "", detail)
    return Grade(Outcome.RIGHT if chosen == letter else Outcome.WRONG, chosen)


def grade_many(items: Iterable[tuple[str, str, Options | None]]) -> list[Grade]:
    """`grade` over (text, gold, options), in order, as many at once as there are maths workers."""
    with ThreadPoolExecutor(maths.workers()) as threads:
        return list(threads.map(lambda item: grade(*item), items))


def _lettered(options: Options) -> dict[str, str]:
    if not isinstance(options, Mapping):
        if len(options) > len(ascii_uppercase):
            raise ValueError(f"{len(options)} options are more than there are letters.")
        return dict(zip(ascii_uppercase, options, strict=False))
    lettered = {letter.strip().upper(): text for letter, text in options.items()}
    if len(lettered) != len(options) or not all(len(k) == 1 and k in ascii_uppercase for k in lettered):
        raise ValueError(f"Options must be named by different single letters, not {', '.join(options)}.")
    return lettered


def _choice(final: str, options: Mapping[str, str]) -> tuple[str, str]:
    """(letter, "") or ("", why not)."""
    box = answer_text.last_box(final)
    if box is not None:
        return _named(
            box, options, lenient=True
        ), "the box holds no option" if box else "the last box is empty or never closed"
    statement = answer_text.last_statement(final)
    if statement is not None:
        return _stated(statement, options), "the final statement names no option"
    return _named(final, options, lenient=False), "no box, no final statement, and the reply is no option"


def _stated(statement: str, options: Mapping[str, str]) -> str:
    """The letter a statement names: followed by its end, by punctuation, or by that option's own text."""
    chosen = _named(statement, options, lenient=True)
    if chosen:
        return chosen
    clause = _LETTER_CLAUSE.match(statement)
    if clause and clause[1].upper() in options and not _takes_back(clause, options):
        # "A. red car": the letter must not contradict the option text after it.
        return clause[1].upper() if _by_text(clause[2] or "", options) in ("", clause[1].upper()) else ""
    return _named(_first_sentence(statement), options, lenient=False)


def _takes_back(clause: re.Match[str], options: Mapping[str, str]) -> bool:
    """Whether the words after a letter name another: "B, or A", and in the same sentence also "B, no, A"."""
    rest = clause[2] or ""
    if _SECOND_CHOICE.match(rest):
        return True
    same_sentence = "" if clause[0][: len(clause[0]) - len(rest)].rstrip().endswith((".", "!")) else rest
    return _other_letter(_first_sentence(same_sentence), clause[1].upper(), options)


def _other_letter(text: str, letter: str, options: Mapping[str, str]) -> bool:
    """Whether a capital that stands alone in `text` is the letter of an option other than `letter`."""
    return any(other[0] in options and other[0] != letter for other in _LONE_CAPITAL.finditer(text))


def _other_text_first(text: str, letter: str, options: Mapping[str, str]) -> bool:
    """Whether `text` begins with the text of an option other than that of `letter`, and not with its own."""
    given = _peeled(text).casefold()
    texts = {key: _peeled(option).casefold() for key, option in options.items()}
    begins = {key for key, option in texts.items() if option and re.match(re.escape(option) + r"(?!\w)", given)}
    return bool(begins) and letter not in begins


def _named(content: str, options: Mapping[str, str], *, lenient: bool) -> str:
    """The letter of the option that `content` is, or "".

    A letter alone; an option's own text; a letter with its own option's text; when `lenient`, a capital letter with a
    separator and any text that is not another option's and names no second choice.
    """
    if len(content) > _LONGEST_CHOICE:
        return ""
    bare = _peeled(content, _letters_as_written)
    alone = _peeled(re.sub(r"^(?:option|choice)\s+", "", bare, flags=re.IGNORECASE), _letters_as_written)
    if alone.isascii() and alone.upper() in options:
        return alone.upper()
    by_text = _by_text(content, options)
    dashed = _LETTER_DASH.match(bare)
    owner = dashed[1].upper() if dashed else ""
    if dashed and owner in options and _same_text(dashed[2], options[owner]):
        return owner if by_text in ("", owner) else ""
    first = _LETTER_FIRST.match(bare)
    if by_text or not (lenient and first):
        return by_text
    letter, rest = first[1], first[2]
    if letter not in options or _SECOND_CHOICE.match(rest) or _by_text(rest, options):
        return ""
    if _other_letter(rest, letter, options) or _other_text_first(rest, letter, options):
        return ""
    return letter


def _by_text(content: str, options: Mapping[str, str]) -> str:
    """The letter of the one option whose text `content` is; "" when none or several are."""
    letters = [letter for letter, text in options.items() if _same_text(content, text)]
    return letters[0] if len(letters) == 1 else ""


def _same_text(content: str, option: str) -> bool:
    """Equal but for case, spacing, markup, brackets and final punctuation, or equal as typeset maths."""
    given, expected = _peeled(content).casefold(), _peeled(option).casefold()
    return bool(given) and (given == expected or canonical(given) == canonical(expected) != "")


def _narrow(content: str) -> str:
    """Wide and styled signs as their plain ones."""
    return unicodedata.normalize("NFKC", content)


def _letters_as_written(content: str) -> str:
    """`_narrow`, but a letter that only looks like a plain one (`Ⓑ`, `𝐁`) stays, as it is no option's letter.

    The wide letters of East Asian typesetting are the same letters in another width.
    """
    if content.isascii():
        return content
    return "".join(written if _look_alike(written) else _narrow(written) for written in content)


def _look_alike(written: str) -> bool:
    if written.isascii() or unicodedata.decomposition(written).startswith("<wide>"):
        return False
    return any(part.isascii() and part.isalnum() for part in _narrow(written))


def _peeled(content: str, plain: Callable[[str], str] = _narrow) -> str:
    """`content` in `plain` signs, without markup, enclosing brackets and final punctuation, spaces single."""
    text = plain(unwrapped(content))
    text = " ".join(_TYPESETTING.sub(" ", text).split())
    for _ in range(8):
        before = text
        text = text.strip(_EDGE).rstrip(".,;:!").strip(_EDGE)
        if len(text) > 2 and _PAIRS.get(text[0]) == text[-1] and not set(text[1:-1]) & {text[0], text[-1]}:
            text = text[1:-1]
        if text == before:
            break
    return text


def _grade_free(final: str, gold: str) -> Grade:
    """A free answer: the last box, else a short final statement, else a short reply that is nothing but an answer."""
    box = answer_text.last_box(final)
    statement = answer_text.last_statement(final) if box is None else None
    if box is not None:
        answer, detail = box, "the last box is empty or never closed"
    elif statement is not None:
        answer, detail = _short(_first_sentence(statement), gold, words=3), "the final statement holds no short answer"
    else:
        answer, detail = (
            _short(final.strip(), gold, words=1),
            "no box, no final statement, and the reply is no short answer",
        )
    if not answer:
        return Grade(Outcome.UNPARSED, "", detail)
    outcome, detail = maths.compare(answer, gold)
    return Grade(outcome, answer if len(answer) <= maths.MAX_CHARACTERS else "", detail)


def _first_sentence(statement: str) -> str:
    return re.split(r"[.;!](?:\s|$)", statement[: 2 * _LONGEST_SHORT_ANSWER], maxsplit=1)[0]


def _short(content: str, gold: str, *, words: int) -> str:
    """`content` when it is an answer and no prose: few words (one more beside a digit, its unit), or the gold text."""
    if len(content) > _LONGEST_SHORT_ANSWER:
        return ""
    answer = content.strip(_EDGE.replace("$", "")).rstrip(".!").strip(_EDGE.replace("$", ""))
    allowed = words + any(character.isdigit() for character in answer)
    said = re.findall(r"(?<![\\\w])[^\W\d_]['’\w]+", answer)
    return answer if len(said) <= allowed or answer.casefold() == gold.strip().casefold() else ""
