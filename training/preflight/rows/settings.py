"""What a row's check depends on beside the row: the backbone's processor, pixel limits, our prompt, our grader.

All of it together has a digest, under which results are remembered: another processor file, limit, prompt or grader
makes other results.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import capcurriculum
from capcurriculum import prompts
from capcurriculum.rows import digest
from training.on_verl.overrides import TEMPLATE
from training.preflight.machine.libraries import Libraries

#: Bump when the checks of a row change.
VERSION = 1
#: Of verl's configuration, what says how a prompt becomes tokens.
_PREFIXES = ("data.mm_processor_kwargs.", TEMPLATE)
#: Files of a checkpoint that the processor is made from.
_PROCESSOR = ("*.json", "*.jinja", "*.txt", "*.model")
_NOT_PROCESSOR = ("model.safetensors.index.json", "generation_config.json")


@dataclass(frozen=True, slots=True)
class Settings:
    """`least` and `most` are areas in pixels that verl's data set resizes a picture to, None for its defaults.

    `model_digest` is of the files the processor is made from.
    """

    model: Path
    least: int | None
    most: int | None
    processor_options: tuple[tuple[str, Any], ...]
    template_options: tuple[tuple[str, Any], ...]
    exact: bool
    model_digest: str
    libraries: Libraries

    @property
    def digest(self) -> str:
        """Under which results of these settings are remembered."""
        limits = (self.least, self.most, self.processor_options, self.template_options, self.exact)
        package = Path(capcurriculum.__file__).parent
        grader = _files_digest([package / "answers.py", *sorted((package / "grading").rglob("*.py"))])
        return digest(
            VERSION, "preflight", [*limits, self.model_digest, self.libraries.versions, grader, prompts.system()]
        )


def settings_of(model: Path, keys: Mapping[str, Any], libraries: Libraries, *, exact: bool = False) -> Settings:
    """The settings that the trainer's configuration `keys` (verl's dotted names) means for a checkpoint."""
    processor, template = (
        tuple(sorted((key.removeprefix(prefix), value) for key, value in keys.items() if key.startswith(prefix)))
        for prefix in _PREFIXES
    )
    files = {path for pattern in _PROCESSOR for path in model.glob(pattern) if path.name not in _NOT_PROCESSOR}
    least, most = keys.get("data.min_pixels"), keys.get("data.max_pixels")
    return Settings(model, least, most, processor, template, exact, _files_digest(sorted(files)), libraries)


def _files_digest(paths: list[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(f"{path.name}:{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:16]
