"""Text answers: read off documents, names, yes and no.

Equal but for case, quotes, dots, commas outside numbers, the shapes of apostrophes and hyphens, and spaces. Nothing is
computed, no word may be missing or added, and the case of capitals that name points counts.
"""

import re

from capcurriculum.grading.kinds import is_label
from capcurriculum.grading.notation.spelling import clean, plain_words

_BARE = re.compile(r"\\text\{([^{}]*)\}")


def equal(given: str, gold: str) -> bool:
    """Whether two cleaned texts say the same."""
    label = _BARE.sub(r"\1", gold).strip(" ()")
    if is_label(label):
        return _BARE.sub(r"\1", clean(given)).strip(" ()") == label
    one, other = plain_words(given), plain_words(gold)
    return bool(other) and (one == other or _tight(one) == _tight(other))


def _tight(text: str) -> str:
    """Without the spaces beside initials, signs and units (`R. J.`, `10:30 am`, `(555) 123`), "and" as its sign."""
    text = re.sub(r" ?([-()/:&]) ?", r"\1", text.replace(" and ", " & "))
    text = re.sub(r"(?<=\b[a-z]) (?=[a-z]\b)", "", text)
    return re.sub(r"(?<=\d) (?=[ap]m\b)", "", text)
