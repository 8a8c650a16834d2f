"""Whether a text asks something: a question, an order to choose, or a sentence with a gap.

Teachers write "Choose the colour of the left car." and end a question as their own script does. An option answers both,
so neither is a fault; nothing answers "The left car is red."
"""

import re

#: Question marks of Latin, East Asian, Arabic and Armenian writing wherever they stand, and the Greek one at an end.
_MARK = re.compile(r"[?？؟՞]|;\s*\Z")
#: A blank, empty brackets, or an end that is left open.
_GAP = re.compile(r"_{2,}|\(\s*\)|（\s*）|\[\s*\]|(?:\.{3}|…|[:：])\s*\Z")
_ORDER = re.compile(
    r"(?:\A|[.!:,]\s+|\b(?:and|then|please) )(?:answer|arrange|choose|classify|complete|count|decide|determine|estimate"
    r"|fill in|find|give|identify|indicate|locate|match|name|pick|point out|rank|say|select|specify|spot|state|tell)\b"
    r"|\A(?:what|which|who|whose|how)\b(?! an? )",
    re.IGNORECASE,
)
#: Chinese and Japanese, which need no mark: please, choose, what, which, how many, who, and か at an end.
_EAST_ASIAN = re.compile(r"请|請|选|選|什么|什麼|哪|几|幾|多少|谁|誰|何|どれ|どの|どこ|か[。．.]?\s*\Z")


def asks(text: str) -> bool:
    """Whether the text of a question with options asks for one of them."""
    return any(pattern.search(text) for pattern in (_MARK, _GAP, _ORDER, _EAST_ASIAN))
