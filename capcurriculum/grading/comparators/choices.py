r"""Which option a text names: by its letter, by its text, by its letter with its text, or by its value.

Strict, because a guess in the parser becomes a wrong label in the data. A letter that contradicts the text beside it,
two letters, and a text that two options share name nothing.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

from capcurriculum.grading.comparators import quantities
from capcurriculum.grading.kinds import LETTER
from capcurriculum.grading.notation.reading import Reading, read
from capcurriculum.grading.notation.spelling import clean, plain_words
from capcurriculum.grading.notation.tokens import Words
from capcurriculum.grading.notation.tree import Broken, Unread

_LONGEST = 4000  # characters; what is longer is an essay in a box
_LONGEST_VALUE = 200
_EDGE = " \t\r\n*_`$\"'“”‘’"
_TYPESETTING = re.compile(r"\*\*|~|\\[ ,;:!()\[\]]")
_WRAP = re.compile(r"\\(?:text\w*|mathrm|mathbf|mathit|mathsf|mbox|operatorname|boldsymbol|bm)\s?\{([^{}]*)\}")
_SWITCH = re.compile(r"\\(?:bf|rm|it|displaystyle|left|right)(?![A-Za-z])")
_PAIRS = {"(": ")", "[": "]", "{": "}", "（": "）"}
#: What may introduce the answer inside a box.
_INTRODUCED = re.compile(
    r"^(?:(?:the )?(?:final |correct |right )?answer(?: is)?\s*:?\s*|故?选(?:项|择)?\s*:?\s*|答案(?:是|为)?\s*:?\s*)"
    r"(?=\S)",
    re.IGNORECASE,
)
_LETTER_FIRST = re.compile(
    r"^(?:option |choice )?[(\[]?([A-Za-z])(?:[)\]][.:]?|[.:)、])(?:\s+|(?<=[:、])|$)(.*)$", re.IGNORECASE | re.DOTALL
)
_LETTER_DASH = re.compile(r"^[(\[]?([A-Za-z])[)\]]?\s*[-–—,;:.)、]?\s*(.+)$", re.DOTALL)
_LETTER_CLAUSE = re.compile(
    r"^[*_]{0,3}(?:option |choice )?[(\[]?([A-Za-z])[)\]]?[*_]{0,3}"
    r"(?:[.,;:!。，]|\s+(?=(?:because|since|as)\b))(?:\s*(.*))?$",
    re.IGNORECASE,
)
#: What may not follow a letter: a second letter, a joining word, an operator. "A, B" and "(a) + b" choose nothing.
_SECOND_CHOICE = re.compile(
    r"^(?:(?:and|or|nor|but|not)\b|(?:is|was)\s+(?:not|wrong|incorrect|false)\b|[-+*/=^<>&]"
    r"|[(\[]?[A-Za-z][)\]]?(?:$|[.,;:)]|\s(?:and|or)\b))",
    re.IGNORECASE,
)
#: "B; C", of which the first sentence is only B.
_LISTED = re.compile(r"^[(\[*_]{0,3}[A-Za-z][)\]*_]{0,3};\s*(?:or\b|[(\[*_]{0,3}[A-Za-z][)\]*_]{0,3}(?:$|[.,;:]))")
_SENTENCE_END = re.compile(r"[.!](?:\s(?!\s*[-+*/^=<>]\s*[\d\\(])|$)|;(?:\s(?!\s*[-+*/^=<>]?\s*[\d\\$(])|$)|。")
_LONE_CAPITAL = re.compile(r"(?<![\w'’])[A-Z](?![\w'’])")
_LABEL = r"^\s*[(\[]?{letter}(?:[)\]][.:]?|[.:、])\s*"
_ARTICLE = re.compile(r"^(?:an?|the) (?=\w)")


def named(content: str, options: Mapping[str, str], *, lenient: bool) -> str:
    """The letter of the option that `content` is, or "".

    A letter alone; an option's own text or value; a letter with its own option's text; when `lenient`, a capital letter
    with a separator and any text that is not another option's and names no second choice.
    """
    if len(content) > _LONGEST:
        return ""
    content = _INTRODUCED.sub("", _SWITCH.sub("", content).strip(_EDGE) if lenient else content)
    bare = peeled(content, _letters_as_written)
    alone = peeled(re.sub(r"^(?:option|choice)\s+", "", bare, flags=re.IGNORECASE), _letters_as_written)
    alone = alone[0] if re.fullmatch(r"[A-Za-z][)\]]", alone) else alone
    if alone.isascii() and alone.upper() in options:
        return alone.upper()
    by_text = by_content(content, options)
    dashed = _LETTER_DASH.match(bare)
    owner = dashed[1].upper() if dashed else ""
    if dashed and owner in options and by_content(dashed[2], options) == owner:
        return owner if by_text in ("", owner) else ""
    first = _LETTER_FIRST.match(bare)
    if by_text or not (lenient and first):
        return by_text
    letter, rest = first[1], first[2]
    if letter not in options or _SECOND_CHOICE.match(rest) or by_content(rest, options) not in ("", letter):
        return ""
    if _other_letter(rest, letter, options) or _other_text_first(rest, letter, options):
        return ""
    return letter


def stated(statement: str, options: Mapping[str, str]) -> str:
    """The letter a statement names: followed by its end, by punctuation, a reason, or that option's own text."""
    chosen = named(statement, options, lenient=True)
    if chosen:
        return chosen
    clause = _LETTER_CLAUSE.match(statement)
    if clause and clause[1].upper() in options and not _takes_back(clause, options):
        # "A. red car": the letter must not contradict the option text after it.
        return clause[1].upper() if by_content(clause[2] or "", options) in ("", clause[1].upper()) else ""
    if _LISTED.match(statement):
        return ""
    return named(first_sentence(statement), options, lenient=False)


def first_sentence(statement: str) -> str:
    """Up to the first full stop, semicolon or exclamation mark that ends a sentence, at most 400 characters.

    None does in "5! + 1" and "5; 6".
    """
    return _SENTENCE_END.split(statement[:400], maxsplit=1)[0]


def same_letter(given: str, gold: str) -> bool:
    """Whether a cleaned answer is the letter, or the text beside it, of a gold answer such as `(C)` or `(D) 1`."""
    expected, said = LETTER.match(gold), LETTER.match(given)
    letter = expected[1] if expected else peeled(gold).upper()
    if said:
        both = [found["rest"].strip(" .:}") for found in (expected, said) if found and found["rest"].strip(" .:}")]
        return said[1] == letter and (
            len(both) < 2 or _one_value(*both) or plain_words(both[0]) == plain_words(both[1])
        )
    if peeled(given) == letter or re.match(rf"^{letter}\s*[.:)、]", peeled(given)):
        return True
    rest = expected["rest"].strip(" .:}") if expected else ""
    return bool(rest) and _one_value(given, rest)


def by_content(content: str, options: Mapping[str, str]) -> str:
    """The letter of the one option whose text or value `content` is; "" when none or several are."""
    held = _holders(content, options)
    return held[0] if len(held) == 1 else ""


def _holders(content: str, options: Mapping[str, str]) -> list[str]:
    """The options that `content` is: by their text as written, else but for an article, else by value."""
    texts = {letter: _unlabelled(letter, text) for letter, text in options.items()}
    for same in (_same_text, _same_but_for_article, _one_value):
        held = [letter for letter, text in texts.items() if same(content, text)]
        if held:
            return held
    return []


def _unlabelled(letter: str, text: str) -> str:
    """An option's text without its own letter before it, as some sources write it."""
    return re.sub(_LABEL.format(letter=letter), "", text) or text


def _same_text(content: str, option: str) -> bool:
    """Equal but for case, spacing, markup, brackets and final punctuation, or equal as typeset."""
    given, expected = peeled(content).casefold(), peeled(option).casefold()
    return bool(given) and (given == expected or (clean(content) == clean(option) != ""))


def _same_but_for_article(content: str, option: str) -> bool:
    given, expected = (plain_words(_ARTICLE.sub("", peeled(text).casefold())) for text in (content, option))
    return bool(given) and given == expected


def _one_value(content: str, option: str) -> bool:
    r"""Whether two texts are one value: `6` for `6cm`, `1/3` for `\frac13`, `x = 60°` for `60^\circ`.

    A value without a digit is compared by its text alone, so that no letter is taken for a symbol.
    """
    if max(len(content), len(option)) > _LONGEST_VALUE or not any(c.isdigit() for c in option):
        return False
    try:
        given, expected = _read(content), _read(option)
    except (Words, Broken, Unread):
        return False
    return quantities.equal(given, expected) is True


def _read(text: str) -> Reading:
    return read(clean(text), gold=True)


def _takes_back(clause: re.Match[str], options: Mapping[str, str]) -> bool:
    """Whether the words after a letter name another: "B, or A", and in the same sentence also "B, no, A"."""
    rest = clause[2] or ""
    if _SECOND_CHOICE.match(rest):
        return True
    same_sentence = "" if clause[0][: len(clause[0]) - len(rest)].rstrip().endswith((".", "!")) else rest
    return _other_letter(first_sentence(same_sentence), clause[1].upper(), options)


def _other_letter(text: str, letter: str, options: Mapping[str, str]) -> bool:
    """Whether a capital that stands alone in `text` is the letter of an option other than `letter`."""
    return any(other[0] in options and other[0] != letter for other in _LONE_CAPITAL.finditer(text))


def _other_text_first(text: str, letter: str, options: Mapping[str, str]) -> bool:
    """Whether `text` begins with the text of an option other than that of `letter`, and not with its own."""
    given = peeled(text).casefold()
    texts = {key: peeled(_unlabelled(key, option)).casefold() for key, option in options.items()}
    begins = {key for key, option in texts.items() if option and re.match(re.escape(option) + r"(?!\w)", given)}
    return bool(begins) and letter not in begins


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


def peeled(content: str, plain: Callable[[str], str] = _narrow) -> str:
    """`content` in `plain` signs, without markup, enclosing brackets and final punctuation, spaces single."""
    for _ in range(8):
        content, changed = _WRAP.subn(r" \1 ", content)
        if not changed:
            break
    text = " ".join(_TYPESETTING.sub(" ", plain(content)).split())
    for _ in range(8):
        before = text
        text = text.strip(_EDGE).rstrip(".,;:!。，").strip(_EDGE)
        if len(text) > 2 and _PAIRS.get(text[0]) == text[-1] and not set(text[1:-1]) & {text[0], text[-1]}:
            text = text[1:-1]
        if text == before:
            break
    return text


def one_of(contents: Sequence[str], options: Mapping[str, str]) -> tuple[str, str]:
    """(letter, "") of boxes that name one option, or ("", why not)."""
    letters = {named(content, options, lenient=True) for content in contents}
    if len(letters) > 1:
        return "", "the boxes name different options"
    return letters.pop(), "the box holds no option"
