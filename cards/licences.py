"""The licences of a set, from the licences of its rows.

Rows have the licence stated by their source's reader or the recipe. All licences are named, the strictest first; an
unstated one is unknown, and a name that the Hub does not know is shown as it is.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

#: The Hub's licence names (docs/hub/repositories-licenses) by their requirements, strictest first.
_GROUPS: tuple[tuple[str, str], ...] = (
    (
        "forbids commercial use and derivatives",
        "cc-by-nc-nd-3.0 cc-by-nc-nd-4.0",
    ),
    (
        "forbids commercial use",
        "cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 "
        "fair-noncommercial-research-license h-research intel-research",
    ),
    ("forbids derivatives", "cc-by-nd-4.0"),
    (
        "is a copyleft licence: derived works are distributed under the same licence",
        "agpl-3.0 gpl-3.0 gpl-2.0 gpl osl-3.0 eupl-1.2 eupl-1.1",
    ),
    (
        "requires attribution, and adaptations under the same licence",
        "cc-by-sa-4.0 cc-by-sa-3.0 odbl cdla-sharing-1.0 gfdl lgpl lgpl-3.0 lgpl-2.1 mpl-2.0",
    ),
    (
        "requires attribution",
        "cc-by-4.0 cc-by-3.0 cc-by-2.5 cc-by-2.0 odc-by etalab-2.0",
    ),
    (
        "is permissive and requires that its notice is kept",
        "apache-2.0 mit bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear isc bsl-1.0 zlib ecl-2.0 ncsa postgresql "
        "ms-pl afl-3.0 artistic-2.0 cdla-permissive-1.0 cdla-permissive-2.0 epl-2.0 epl-1.0",
    ),
    ("has no requirements", "cc0-1.0 pddl unlicense wtfpl"),
)
UNKNOWN, OTHER = "unknown", "other"
_ASKS = {name: (rank, asks) for rank, (asks, names) in enumerate(_GROUPS) for name in names.split()}
_UNSTATED = "is not stated, so no permission can be assumed for these rows"
_FOREIGN = "is not on the list of known licences; read it before you use these rows"


@dataclass(frozen=True, slots=True)
class Licence:
    """One licence of a set: its name in the rows, its Hub name, what it asks for, and its number of rows."""

    name: str
    hub: str
    asks: str
    rows: int


def hub_name(name: str) -> str:
    """The Hub's name: `unknown` for an unstated licence, `other` for one that is not on its list."""
    plain = re.sub(r"[\s_]+", "-", name.strip().lower())
    if plain in ("", UNKNOWN, "none", "null"):
        return UNKNOWN
    return plain if plain in _ASKS else OTHER


def of(counts: Iterable[tuple[str, int]]) -> list[Licence]:
    """The licences of rows, from (name, rows) pairs, the strictest first."""
    total: Counter[str] = Counter()
    for name, rows in counts:
        total[name] += rows
    found = []
    for name, rows in total.items():
        hub = hub_name(name)
        asks = {UNKNOWN: _UNSTATED, OTHER: _FOREIGN}.get(hub) or _ASKS[hub][1]
        found.append(Licence(name, hub, asks, rows))
    return sorted(found, key=lambda one: (_rank(one.hub), one.hub, one.name))


def metadata(found: Iterable[Licence]) -> str | list[str]:
    """The value for the YAML of a card: one Hub name, or all of them."""
    names = list(dict.fromkeys(one.hub for one in found)) or [UNKNOWN]
    return names[0] if len(names) == 1 else names


def _rank(hub: str) -> int:
    # An unstated licence allows nothing, so it is the strictest.
    return _ASKS[hub][0] if hub in _ASKS else (UNKNOWN, OTHER).index(hub) - 2
