"""The card of a data set: what it is, how it came about and what it cannot be used for, counted in the set itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cards.staged import Staged


def render(staged: "Staged") -> Sequence[Path]:
    """Write `README.md` and its pictures into the staged folder; returns their paths.

    Raises:
        HubError: the Hub's own library would refuse the metadata.
        RunError: the run is damaged.
    """
    from cards.dataset import card

    return card.render(staged)
