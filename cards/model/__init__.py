"""The card of a model: how it was trained stage by stage, what was measured of it, how to use it and what not to."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cards.staged import StagedModel


def render_model(staged: "StagedModel") -> Sequence[Path]:
    """Write `README.md` and its pictures into the staged folder; returns their paths.

    Raises:
        HubError: the Hub's own library would refuse the metadata.
        RunError: results in the run are damaged.
        TrainerError: the plan in the run is damaged.
    """
    from cards.model import card

    return card.render(staged)
