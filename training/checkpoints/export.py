"""From a checkpoint that verl saved of a stage to a Hugging Face folder that the next stage, vLLM and a user can load.

verl writes the weights in full precision with every checkpoint (`hf_model` in its save contents; its own merger rounds
to the nearest bfloat16, which eats what a few steps have learned). Here adapters are added to the weights they are for
(`merging`), which become what the backbone computes in (`rounding`), are joined by the parent's processor and
generation configuration, whose list of end tokens verl may lose, checked in a process of its own, and only then given
their name.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.errors import TrainerError
from training.on_verl.environment import trainer_environment
from training.plan import files_digest
from training.selection import link

_INDEX = "model.safetensors.index.json"
_LATEST = "latest_checkpointed_iteration.txt"
#: Files that describe the model to those who load it; the parent's are the reference, training does not change them.
_DESCRIPTION = (
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)


def last_step(checkpoints: Path) -> int:
    """The step of verl's last complete checkpoint, 0 when there is none; a save cut short does not count."""
    try:
        return int((checkpoints / _LATEST).read_text().strip())
    except (FileNotFoundError, ValueError):
        return 0


def forget_incomplete(checkpoints: Path) -> None:
    """Remove the folder of a save that a kill cut short, which verl would otherwise count among those to keep."""
    last = last_step(checkpoints)
    for folder in checkpoints.glob("global_step_*"):
        if int(folder.name.rpartition("_")[2]) > last:
            shutil.rmtree(folder)


def checkpoint_digest(folder: Path) -> str:
    """Digest of a checkpoint's weights and configuration, by content.

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
    """How a checkpoint is loaded to be checked, and the type it is kept in.

    Weights in whose names `frozen`, a regular expression, is found must be the parent's; "" allows all to change.
    `scale` is that of the adapters it was trained with, 0 without any.
    """

    python: str
    device: str
    frozen: str = ""
    dtype: str = "float32"
    scale: float = 0.0


def export(source: Path, parent: Path, target: Path, checker: Checker) -> tuple[str, str]:
    """Write `target` from the weights that verl left in `source`; returns its digest and its first reply.

    Raises:
        TrainerError: there are none, or they do not load, are not finite, equal the parent's, differ from them where
            they were frozen, or answer with nothing.
    """
    if not list(source.glob("*.safetensors")):
        raise TrainerError(f"The trainer left no weights in {source}; delete {source.parents[2]} and run again.")
    temporary = target.with_name(f".{target.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        reply = _made(source, parent, temporary, checker)
    except KeyboardInterrupt:  # what is not usable stays, to be looked at
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    shutil.rmtree(target, ignore_errors=True)
    temporary.replace(target)
    return checkpoint_digest(target), reply


def _made(source: Path, parent: Path, temporary: Path, checker: Checker) -> str:
    """Write the checkpoint under its temporary name and check it; returns its first reply."""
    writer = "rounding" if checker.dtype == "bfloat16" else "merging" if checker.scale else ""
    leave_out = shutil.ignore_patterns("*.safetensors", _INDEX) if writer else None
    # Links, not copies: verl never writes into a finished checkpoint, and an 8B model is 35 GB in full precision.
    shutil.copytree(source, temporary, copy_function=link, ignore=leave_out)
    if writer:
        _write(writer, source, temporary, checker)
    for name in _DESCRIPTION:
        if (parent / name).is_file():
            (temporary / name).unlink(missing_ok=True)
            shutil.copy2(parent / name, temporary / name)
    return _verify(temporary, parent, checker)


def _write(writer: str, source: Path, target: Path, checker: Checker) -> None:
    """Write the weights anew, in a process of its own."""
    command = [checker.python, "-m", f"training.checkpoints.{writer}", str(source), str(target), str(checker.scale)]
    done = subprocess.run(command, env=trainer_environment(checker.device), capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise TrainerError(f"The weights in {source} could not be written as {checker.dtype} ({said}); run again.")


def prune(checkpoints: Path) -> None:
    """Leave only loadable weights of every checkpoint but the last, from which alone a training is resumed."""
    last = last_step(checkpoints)
    for folder in checkpoints.glob("global_step_*"):
        if int(folder.name.rpartition("_")[2]) < last:
            for path in folder.rglob("*.pt"):
                path.unlink(missing_ok=True)


def _verify(folder: Path, parent: Path, checker: Checker) -> str:
    """The checkpoint's reply to one question; raises `TrainerError` with what is wrong with it."""
    command = [checker.python, "-m", "training.checkpoints.verify", str(folder), str(parent), checker.frozen]
    done = subprocess.run(command, env=trainer_environment(checker.device), capture_output=True, text=True)
    said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines() or ["it said nothing"]
    found = json.loads(said[-1]) if done.returncode == 0 else {"fault": said[-1]}
    if found["fault"]:
        raise TrainerError(
            f"The trained checkpoint {folder} is not usable: {found['fault']}; see the stage's metrics and log."
        )
    return str(found["reply"])
