"""What verl 0.9.1 can give pictures to, by itself or with what we add; others are refused before anything is loaded.

verl builds a model's inputs from its processor, and knows the processors below by the names of their classes
(`verl/utils/tokenizer/tokenizer.py`, `hf_processor`). Of any other it returns None after a warning, and the first row
with a picture ends the run, minutes later. A test holds this list against the installed verl.
"""

from pathlib import Path

from capcurriculum.errors import RecipeError, TrainerError
from capcurriculum.files import json_file
from training.on_verl.environment import CPU_PLATFORM

PROCESSORS = (
    "Gemma4Processor",
    "Glm46VProcessor",
    "Glm4vProcessor",
    "MllamaProcessor",
    "Qwen2VLProcessor",
    "Qwen2_5_VLProcessor",
    "Qwen3VLProcessor",
)
#: Further ones, with the module of ours that adds to verl what they need.
ADDED = {"InternVLProcessor": "training.on_verl.patches.internvl"}
#: The environment variable by which verl, in each of its processes, is told what else to import.
MODULES = "VERL_USE_EXTERNAL_MODULES"
#: Those of the models whose sequences verl splits (`verl/models/transformers/monkey_patch.py`,
#: `patch_vlm_for_ulysses_input_slicing`); in another every GPU would get the whole sequence and a part of its targets.
SPLIT = ("Glm4vProcessor", "Qwen2VLProcessor", "Qwen2_5_VLProcessor", "Qwen3VLProcessor")


def check_processor(name: str, model: str) -> None:
    """Refuse a model whose processor verl does not know and we do not add.

    Raises:
        TrainerError: with what to take instead.
    """
    if name and name not in PROCESSORS and name not in ADDED:
        raise TrainerError(
            f"verl 0.9.1 cannot train {model} on pictures: it has no way to use its {name}; take one of the backbones "
            f"of docs/training.md, or a model of their families."
        )


def variables(name: str, device: str) -> dict[str, str]:
    """What verl's processes have to find in their environment to train a model with this processor."""
    own = [CPU_PLATFORM] if device == "cpu" else []
    return {MODULES: ",".join([*own, ADDED[name]])} if name in ADDED else {}


def check_split(name: str, stage: str, parts: int) -> None:
    """Refuse to split the sequences of a model that verl would not split them in.

    Raises:
        RecipeError: naming the stage.
    """
    if parts > 1 and name and name not in SPLIT:
        raise RecipeError(
            f"In stage {stage}, sequence_parallel is {parts}, and verl 0.9.1 splits sequences of Qwen-VL and GLM-4V "
            f"alone, not of a model with a {name}; set training.knobs.sequence_parallel to 1."
        )


def processor(folder: Path) -> str:
    """The class of a checkpoint's processor by its own files; "" where they do not say."""
    for name in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        try:
            said = json_file.mapping(folder / name).get("processor_class")
        except (OSError, ValueError):
            continue
        if said:
            return str(said)
    return ""
