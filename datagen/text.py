"""Make text from outside safe to put into a chat prompt.

Captions, problems and model output may hold control tokens such as `<|im_end|>` or placeholders such as `<image>`; a
chat template or a trainer would take them for its own. They are broken up by a space, so a reader still sees what was
there.
"""

import re

_CONTROL = re.compile(r"<\||\|>")
_PLACEHOLDER = re.compile(r"<(?=/?(?:image|video|audio|think)>)", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def neutral(text: str) -> str:
    """`text` without control characters, control tokens or placeholders, stripped at both ends."""
    text = _UNPRINTABLE.sub("", text)
    text = _CONTROL.sub(lambda m: " ".join(m.group()), text)
    return _PLACEHOLDER.sub("< ", text).strip()
