"""What a model's name in a recipe stands for: `micro:NAME` is a checkpoint shipped with this package."""

from datagen import micro

PREFIX = "micro:"


def resolve(name: str) -> str:
    """A folder for `micro:NAME`, and any other name (a folder or Hub id) as it is.

    Raises:
        EngineError: there is no shipped checkpoint of that name.
    """
    return str(micro.checkpoint(name.removeprefix(PREFIX))) if name.startswith(PREFIX) else name
