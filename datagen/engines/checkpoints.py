"""What a model's name in a recipe stands for: `micro:NAME` is a checkpoint shipped with this package."""

from capcurriculum.errors import EngineError
from datagen import micro

PREFIX = "micro:"


def resolve(name: str) -> str:
    """A folder for `micro:NAME`, and any other name (a folder or Hub id) as it is.

    Raises:
        EngineError: there is no shipped checkpoint of that name.
    """
    if not name.startswith(PREFIX):
        return name
    try:
        return str(micro.checkpoint(name.removeprefix(PREFIX)))
    except ValueError as error:
        raise EngineError(str(error)) from error
