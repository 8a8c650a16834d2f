"""What repos are called."""

from pathlib import Path

import pytest

from capcurriculum.errors import RecipeError
from hub.publish.names import places
from tests.support import hub_runs


def ids(sets: list[str], one_repo: bool = False, **publish: object) -> list[str]:
    made = hub_runs.wanted(Path("x"), publish=publish)
    return [place.repo_id for place in places(made, "me", sets, one_repo)]


def test_stages_have_the_releases_names_and_others_their_own() -> None:
    assert ids(["perception", "text", "visual", "chart_reading"]) == [
        "me/small-Perception-Data", "me/small-TextReasoning-Data", "me/small-VisualReasoning-Data",
        "me/small-ChartReading-Data",
    ]  # fmt: skip
    assert ids(["text"], prefix="mine", names={"text": "Words"}) == ["me/mine-Words-Data"]
    assert ids(["text", "visual"], one_repo=True) == ["me/small-Data"]
    assert ids(["text/epoch-01", "text/epoch-02"]) == ["me/small-TextEpoch01-Data", "me/small-TextEpoch02-Data"]


def test_names_that_the_hub_or_we_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(RecipeError, match="Two sets would go to"):
        ids(["chart_reading", "chart-reading"])
    with pytest.raises(RecipeError, match="takes no repo called"):
        ids(["x" * 90])
