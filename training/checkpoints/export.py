"""Export a stage's checkpoint as a Hugging Face folder that the next stage, vLLM and users can load.

verl saves float32 weights with every checkpoint (`hf_model` in its save contents); its own merger would round to the
nearest bfloat16, which loses the result of a few steps. The export merges adapters, rounds to the backbone's type
(`rewriting`), and takes processor and generation configuration from the parent, because verl may lose the list of end
tokens. It is verified in a separate process before it gets its final name.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capcurriculum.errors import TrainerError
from training.interpreter import ProgramError, output_of
from training.on_verl.environment import trainer_environment
from training.plan import files_digest
from training.selection import link

_INDEX = "model.safetensors.index.json"
_LATEST = "latest_checkpointed_iteration.txt"
#: Files that training does not change, taken from the parent.
_DESCRIPTION = tuple(
    """
    generation_config.json preprocessor_config.json processor_config.json video_preprocessor_config.json
    chat_template.jinja chat_template.json tokenizer.json tokenizer_config.json special_tokens_map.json
    added_tokens.json vocab.json merges.txt
    """.split()  # noqa: SIM905
)


def last_step(checkpoints: Path) -> int:
    """The step of verl's last complete checkpoint, 0 if there is none; an interrupted save does not count."""
    try:
        return int((checkpoints / _LATEST).read_text().strip())
    except (FileNotFoundError, ValueError):
        return 0


def forget_incomplete(checkpoints: Path) -> None:
    """Remove the folder of an interrupted save, which verl would count among those to keep."""
    last = last_step(checkpoints)
    for folder in checkpoints.glob("global_step_*"):
        if int(folder.name.rpartition("_")[2]) > last:
            shutil.rmtree(folder)


def prune(checkpoints: Path) -> None:
    """Leave only loadable weights in every checkpoint but the last, the only one that is resumed from."""
    last = last_step(checkpoints)
    for folder in checkpoints.glob("global_step_*"):
        if int(folder.name.rpartition("_")[2]) < last:
            for path in folder.rglob("*.pt"):
                path.unlink(missing_ok=True)


def checkpoint_digest(folder: Path) -> str:
    """16 hex digits over the content of a checkpoint's weights and configuration.

    Raises:
        TrainerError: the folder holds no safetensors weights.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights or not (folder / "config.json").is_file():
        raise TrainerError(
            f"{folder} is no checkpoint to train from: config.json or *.safetensors is missing; check training.model."
        )
    return files_digest([*weights, folder / "config.json"])


@dataclass(frozen=True, slots=True)
class Checker:
    """How a checkpoint is written and verified.

    Weights in whose names the regular expression `frozen` is found must equal the parent's; "" allows all to change.
    `dtype` is the type of the exported weights, `scale` that of the adapters, 0 without any.
    """

    python: str
    device: str
    frozen: str = ""
    dtype: str = "float32"
    scale: float = 0.0


def export(source: Path, parent: Path, target: Path, checker: Checker) -> tuple[str, str]:
    """Write `target` from the weights that verl saved in `source`; returns its digest and its first reply.

    Raises:
        TrainerError: there are none, or they do not load, are not finite, equal the parent's, differ from the parent's
            where they were frozen, or give an empty reply.
    """
    if not list(source.glob("*.safetensors")):
        raise TrainerError(f"The trainer left no weights in {source}; delete {source.parents[2]} and run again.")
    temporary = target.with_name(f".{target.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        _write(source, parent, temporary, checker)
        reply = _verify(temporary, parent, checker)
    except KeyboardInterrupt:  # after any other error the folder stays for inspection
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    shutil.rmtree(target, ignore_errors=True)
    temporary.replace(target)
    return checkpoint_digest(target), reply


def _write(source: Path, parent: Path, temporary: Path, checker: Checker) -> None:
    rewritten = checker.dtype == "bfloat16" or checker.scale > 0
    left_out = shutil.ignore_patterns("*.safetensors", _INDEX) if rewritten else None
    # Links, not copies: verl never writes to a finished checkpoint, and an 8B model takes 35 GB in float32.
    shutil.copytree(source, temporary, copy_function=link, ignore=left_out)
    if rewritten:
        try:
            _run("rewriting", checker, source, temporary, checker.scale, checker.dtype)
        except ProgramError as error:
            raise TrainerError(
                f"The weights in {source} could not be written as {checker.dtype} ({error}); run again."
            ) from error
    for name in _DESCRIPTION:
        if (parent / name).is_file():
            (temporary / name).unlink(missing_ok=True)
            shutil.copy2(parent / name, temporary / name)


def _verify(folder: Path, parent: Path, checker: Checker) -> str:
    """The checkpoint's reply to one question; raises `TrainerError` with its fault."""
    try:
        found = _run("verify", checker, folder, parent, checker.frozen)
    except ProgramError as error:
        found = {"fault": str(error)}
    if found["fault"]:
        raise TrainerError(
            f"The trained checkpoint {folder} is not usable: {found['fault']}; see the stage's metrics and log."
        )
    return str(found["reply"])


def _run(module: str, checker: Checker, *arguments: object) -> Any:
    command = [checker.python, "-m", f"training.checkpoints.{module}", *map(str, arguments)]
    return output_of(command, trainer_environment(checker.device))
