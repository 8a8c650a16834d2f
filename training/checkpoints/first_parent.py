"""The first parent of a chain: a folder, a checkpoint shipped with the package, or one in the Hub's cache.

Nothing is downloaded; the error for missing weights says how to fetch them. Only the headers of weight files are read.
"""

from pathlib import Path

from capcurriculum.errors import TrainerError
from capcurriculum.files import json_file

_SHIPPED = "micro:"


def locate(model: str) -> Path:
    """The folder of the checkpoint that `model` names (see `TrainingRecipe.model`).

    Raises:
        TrainerError: there is none on this machine.
    """
    if model.startswith(_SHIPPED):
        from datagen import micro

        return Path(micro.checkpoint(model.removeprefix(_SHIPPED)))
    if Path(model).is_dir():
        return Path(model).absolute()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError) as error:
        raise TrainerError(
            f"There is no checkpoint {model!r} on this machine: it is no folder, and the Hub's cache has no copy; "
            f"fetch it with `hf download {model}` or correct training.model."
        ) from error


def tensor_names(folder: Path) -> list[str]:
    """The names of a checkpoint's weights, in the order of its files.

    Raises:
        TrainerError: a file is not a safetensors file.
    """
    names: list[str] = []
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                header = json_file.loads(file.read(min(length, path.stat().st_size)))
            names += [name for name in header if name != "__metadata__"]
        except (OSError, ValueError, TypeError) as error:
            raise TrainerError(f"{path} is no safetensors file; fetch the checkpoint again.") from error
    return names
