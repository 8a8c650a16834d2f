"""The `evaluation` section of a recipe: where the evaluation kits are."""

from pydantic import BaseModel, ConfigDict


class EvaluationSection(BaseModel):
    """`python` is the interpreter of the environment that VLMEvalKit or lmms-eval is installed in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    python: str = ""
