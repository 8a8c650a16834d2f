"""What was probably meant by a name that is not known."""

import difflib
from collections.abc import Iterable

#: The least similarity (of `difflib`, 0 to 1) at which a name is offered.
_SIMILAR = 0.6


def nearest(word: str, known: Iterable[str], similar: float = _SIMILAR) -> str:
    """The known name that `word` begins or resembles most, capitals and `-` aside; "" if none is near."""
    names = {_plain(name): name for name in known}
    plain = _plain(word)
    begun = [name for name in names if plain and name.startswith(plain)]
    found = begun or difflib.get_close_matches(plain, names, n=1, cutoff=similar)
    return names[found[0]] if found else ""


def meant(word: str, known: Iterable[str], similar: float = _SIMILAR) -> str:
    """`nearest` as ` (did you mean X?)`, to stand behind the name; "" if none is near."""
    found = nearest(word, known, similar)
    return f" (did you mean {found}?)" if found else ""


def _plain(word: str) -> str:
    return word.casefold().replace("-", "_")
