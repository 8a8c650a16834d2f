r"""Left sides of assignments that are names and no expressions."""

import re
from collections.abc import Sequence

from capcurriculum.grading.notation.tokens import Token, is_product
from capcurriculum.grading.notation.vocabulary import FUNCTIONS, LETTERS, NAMES


def named(found: Sequence[Token]) -> str:
    r"""What tokens name; "" for an expression.

    Words, `f(x)`, `|AB|`, `\angle A`, `m\angle A`, `\frac{AB}{CD}` and `S_1:S_2` are names.
    """
    texts = [token.text for token in found]
    if all(token.kind in ("word", "text") for token in found):
        whole = " ".join(texts)
        return "" if len(found) == 1 and found[0].kind == "word" and is_product(whole, among=found[0].among) else whole
    applied = re.fullmatch(r"(\\?[A-Za-z]+)'{0,2}(_\{?\w+\}?)?\([\\A-Za-z0-9, ]*\)", "".join(texts))
    if applied and (applied[1][0] != "\\" or applied[1][1:] in LETTERS) and applied[1] not in FUNCTIONS | NAMES.keys():
        return "".join(texts)
    if texts[0] == "|" and texts[-1] == "|" and len(texts) == 3 and len(texts[1]) == 2 and texts[1].isupper():
        return "".join(texts)
    if any(text in (r"\angle", r"\triangle", r"\overline") for text in texts):
        return "".join(texts) if all(t.kind != "number" and t.text not in "+-*/" for t in found) else ""
    fraction = re.fullmatch(r"\\frac\{([A-Z]{2})\}\{([A-Z]{2})\}|([A-Z]{2})/([A-Z]{2})", "".join(texts))
    if fraction or re.fullmatch(r"[A-Za-z]\w*(?:_?\{\w+\})?(?::[A-Za-z]\w*(?:_?\{\w+\})?)+", "".join(texts)):
        return "".join(texts)
    return ""
