"""What the result of a row's check depends on besides the row: processor, pixel limits, system prompt and grader.

Their digest is the cache's key, so another processor file, limit, prompt, grader or library version gets new results.
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

#: Increase when the checks of a row change.
VERSION = 1
#: Prefixes of verl's keys that affect tokenization.
_PREFIXES = ("data.mm_processor_kwargs.", TEMPLATE)
#: Files of a checkpoint that define its processor.
_PROCESSOR = ("*.json", "*.jinja", "*.txt", "*.model")
_NOT_PROCESSOR = ("model.safetensors.index.json", "generation_config.json")


@dataclass(frozen=True, slots=True)
class Settings:
    """`least` and `most` are the limits of an image's area in pixels, None for verl's defaults.

    `model_digest` is over the files that define the processor.
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
        """The cache's key."""
        limits = (self.least, self.most, self.processor_options, self.template_options, self.exact)
        package = Path(capcurriculum.__file__).parent
        grader = _files_digest([package / "answers.py", *sorted((package / "grading").rglob("*.py"))])
        return digest(
            VERSION, "preflight", [*limits, self.model_digest, self.libraries.versions, grader, prompts.system()]
        )


def settings_of(model: Path, keys: Mapping[str, Any], libraries: Libraries, *, exact: bool = False) -> Settings:
    """The settings for a checkpoint under the trainer's configuration `keys` (verl's dotted names)."""
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
