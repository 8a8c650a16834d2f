"""The text of a first recipe, and of a stage that is added to a recipe, checked by reading it back."""

from collections.abc import Mapping, Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from capcurriculum.errors import RecipeError
from capcurriculum.recipe import yaml_file
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.recipe.yaml_file import YamlProblem
from capcurriculum.rows import Stage
from curricula.first_recipe import stages
from curricula.first_recipe.models import Chosen
from datagen.micro import PREFIX

_ABOUT = {
    Stage.PERCEPTION: "questions about what can be seen, made from captioned images",
    Stage.TEXT: "problems without images",
    Stage.VISUAL: "problems with images",
}
_TEACHES, _ANSWERS = "writes the questions", "answers them; what it gets wrong is what it has to learn"
# No autoescape: every value is YAML already.
_ENVIRONMENT = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701


def recipe(
    name: str, found: Mapping[Stage, Sequence[SourceSection]], chosen: Chosen, backbone: str, *, few: bool
) -> str:
    """The YAML of a whole recipe; `backbone` is the one that trains its first solver, "" where none is known.

    With `few` rows more of them are held out, and batches are small.

    Raises:
        RecipeError: a path or column has a name that cannot be written.
    """
    solvers = (
        ["solver"] if len(chosen.solvers) == 1 else [f"solver_{place}" for place in range(1, len(chosen.solvers) + 1)]
    )
    teacher = [("teacher", chosen.teacher, _TEACHES)] if chosen.teacher else []
    entries = [*teacher, *((entry, model, _ANSWERS) for entry, model in zip(solvers, chosen.solvers, strict=True))]
    text = _render(
        "recipe",
        name=stages.scalar(name),
        models=[
            {"entry": entry, "id": stages.scalar(model), "does": does, "micro": model.startswith(PREFIX)}
            for entry, model, does in entries
        ],
        url=stages.scalar([chosen.endpoint])[1:-1],
        key_variable=chosen.key_variable,
        stages=[stage(one, sections, "teacher", solvers, micro=chosen.micro) for one, sections in found.items()],
        policy=solvers[0],
        policy_id=stages.scalar(chosen.solvers[0]),
        micro=chosen.micro,
        backbone=backbone,
        few=few,
    )
    said = _parsed(text)
    for one, sections in found.items():
        _check(said.get(str(one)), sections)
    return text


def stage(stage: Stage, sections: Sequence[SourceSection], teacher: str, solvers: Sequence[str], *, micro: bool) -> str:
    """The YAML of one stage; teacher and solvers are entries of the recipe's `models`, which problems need none of.

    Raises:
        RecipeError: a path or column has a name that cannot be written.
    """
    text = _render(
        "stage",
        stage=str(stage),
        about=_ABOUT[stage],
        source="\n".join(stages.source_lines(sections, "  ")),
        teacher=stages.scalar(teacher) if stage is Stage.PERCEPTION else "",
        solvers=[stages.scalar(solver) for solver in solvers],
        micro=micro,
    )
    _check(_parsed(text).get(str(stage)), sections)
    return text


def _render(template: str, **values: object) -> str:
    source = (files(__package__) / f"{template}.yaml.jinja").read_text(encoding="utf-8")
    return _ENVIRONMENT.from_string(source).render(**values).rstrip("\n") + "\n"


def _parsed(text: str) -> dict[str, object]:
    try:
        said = yaml_file.parsed(text)
    except YamlProblem as problem:
        raise _odd(problem) from problem
    return said if isinstance(said, dict) else {}


def _check(said: object, sections: Sequence[SourceSection]) -> None:
    """Refuse a text that would be read as another source than the one that was found."""
    wanted = stages.sources(sections)
    if not isinstance(said, dict) or {key: said.get(key) for key in wanted} != wanted:
        raise _odd("it reads otherwise")


def _odd(why: object) -> RecipeError:
    return RecipeError(f"A file or column has a name that a recipe cannot hold ({why}); rename it.")
