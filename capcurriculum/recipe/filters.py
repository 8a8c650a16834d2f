"""The `filters` section of a recipe: an ordered list, each entry a filter's name or a mapping of its parameters.

A filter is one class, its parameters and its rule (see `filters.base`), registered in `CLASSES`. It is imported when a
recipe names it, so this package does not depend on the filters.
"""

from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from typing import Annotated

from pydantic import BeforeValidator, SerializeAsAny, ValidationError
from pydantic_core import InitErrorDetails

from capcurriculum.did_you_mean import meant
from capcurriculum.recipe.filter_section import FilterSection, RecipeView

#: Name -> module and class.
CLASSES: Mapping[str, str] = {
    "readable": "filters.rules.readable:ReadableSection",
    "wellformed": "filters.rules.wellformed:WellformedSection",
    "needs_picture": "filters.rules.needs_image:NeedsPictureSection",
    "asks_for_proof": "filters.rules.asks_for_proof:AsksForProofSection",
    "leak": "filters.rules.leak:LeakSection",
    "perception": "filters.rules.perception:PerceptionFilterSection",
    "blind": "filters.rules.blind:BlindSection",
    "swapped": "filters.rules.swapped:SwappedSection",
    "consistent": "filters.rules.consistent:ConsistentSection",
    "agreed_other": "filters.rules.agreed_other:AgreedOtherSection",
    "auditor": "filters.rules.auditor:AuditorSection",
    "rollouts": "filters.rules.rollouts:RolloutsSection",
    "difficulty": "filters.rules.rollouts:DifficultySection",
    "duplicates": "filters.corpus.duplicates.filter:DuplicatesSection",
    "contamination": "filters.corpus.contamination:ContaminationSection",
}
#: Between a filter and a name of its own, by which one that may be listed several times is known in the ledger.
NAMED = "/"
_EXAMPLE = "{name: perception, action: label}"
#: What a recipe without a list has: rows that can be asked at all, the paper's rule, what ordering needs, the band.
DEFAULT = ("readable", "wellformed", "perception", "rollouts", "difficulty")


def section(value: object) -> FilterSection:
    """An entry of the list as a filter: from its name, from a mapping, or a filter itself.

    Raises:
        ValueError: no filter is named, or one that is not registered.
        ValidationError: its parameters are wrong; the location of each fault begins with the filter's name.
    """
    if isinstance(value, FilterSection):
        return value
    value = {"name": value} if isinstance(value, str) else value
    if not isinstance(value, dict):
        raise ValueError(f"must be a filter's name, or a mapping such as {_EXAMPLE}")
    if "name" not in value:
        raise ValueError(f"a filter with options has its name among them, such as {_EXAMPLE}")
    name = value["name"]
    rule = str(name).partition(NAMED)[0]
    if not isinstance(name, str) or rule not in CLASSES:
        word = rule[:60]
        raise ValueError(f"there is no filter {word!r}{meant(word, CLASSES)}; filters are {', '.join(CLASSES)}")
    module, _, kind = CLASSES[rule].partition(":")
    try:
        found: FilterSection = getattr(import_module(module), kind).model_validate(value)
    except ValidationError as error:
        details = [
            InitErrorDetails(type=e["type"], loc=(rule, *e["loc"]), input=e["input"], ctx=e.get("ctx", {}))
            for e in error.errors()
        ]
        raise ValidationError.from_exception_data(error.title, details) from error
    return found


AnyFilter = Annotated[SerializeAsAny[FilterSection], BeforeValidator(section)]


def check_filters(recipe: RecipeView) -> None:
    """Check the list against the rest of the recipe.

    Raises:
        ValueError: a filter judges a stage twice, lacks what it needs, or is missing where something relies on it.
    """
    counts = Counter((section.name, stage) for section in recipe.filters for stage in section.stages)
    if twice := [pair for pair, count in counts.items() if count > 1]:
        said = ", ".join(f"{name} ({stage})" for name, stage in twice)
        mend = f", or name one auditor{NAMED}second" if "auditor" in dict(twice) else ""
        raise ValueError(f"filters names {said} more than once; leave one out{mend}")
    for section in recipe.filters:
        section.check(recipe)
    bounded = recipe.rollouts.above is not None or recipe.rollouts.below is not None
    for stage in recipe.stages:
        if not counts["rollouts", stage]:
            raise ValueError(f"filters must list rollouts for {stage}: rows without a pass rate have no place in order")
        if bounded and not counts["difficulty", stage]:
            raise ValueError(f"rollouts has bounds, so filters must list difficulty for {stage}, which applies them")
