"""The models that verl 0.9.1 can train on images, alone or patched; others are refused before anything is loaded.

verl builds a model's inputs with its processor and knows the processors below by class name (`hf_processor` in
`verl/utils/tokenizer/tokenizer.py`). For others it warns and uses None, and the first row with an image ends the run,
minutes later. A test compares this list with the installed verl.
"""

from pathlib import Path

from capcurriculum.errors import RecipeError, TrainerError
from capcurriculum.files import json_file
from training.on_verl.environment import CPU_PLATFORM

PROCESSORS = tuple(
    """
    Gemma4Processor Glm46VProcessor Glm4vProcessor MllamaProcessor Qwen2VLProcessor Qwen2_5_VLProcessor Qwen3VLProcessor
    """.split()  # noqa: SIM905
)
#: Further processors -> the module that patches verl for them.
ADDED = {"InternVLProcessor": "training.on_verl.patches.internvl"}
#: The environment variable with the modules that verl imports in each of its processes.
MODULES = "VERL_USE_EXTERNAL_MODULES"
#: Processors of the models whose sequences verl splits (`patch_vlm_for_ulysses_input_slicing` in
#: `verl/models/transformers/monkey_patch.py`); for others each GPU would get the whole sequence and a part of its
#: targets.
SPLIT = ("Glm4vProcessor", "Qwen2VLProcessor", "Qwen2_5_VLProcessor", "Qwen3VLProcessor")


def check_processor(name: str, model: str) -> None:
    """Check that verl or a patch supports the processor `name` of `model`; "" passes.

    Raises:
        TrainerError: neither does.
    """
    if name and name not in PROCESSORS and name not in ADDED:
        raise TrainerError(
            f"verl 0.9.1 cannot train {model} on pictures: it has no way to use its {name}; take one of the backbones "
            f"of docs/training.md, or a model of their families."
        )


def variables(name: str, device: str) -> dict[str, str]:
    """Environment variables for training a model with this processor."""
    modules = [CPU_PLATFORM] if device == "cpu" else []
    return {MODULES: ",".join([*modules, ADDED[name]])} if name in ADDED else {}


def check_split(name: str, stage: str, parts: int) -> None:
    """Check that verl can split the sequences of a model with the processor `name`.

    Raises:
        RecipeError: it cannot, and `parts` is more than 1.
    """
    if parts > 1 and name and name not in SPLIT:
        raise RecipeError(
            f"In stage {stage}, sequence_parallel is {parts}, and verl 0.9.1 splits sequences of Qwen-VL and GLM-4V "
            f"alone, not of a model with a {name}; set training.knobs.sequence_parallel to 1."
        )


def processor(folder: Path) -> str:
    """The class name of a checkpoint's processor, from its configuration files; "" if they do not say."""
    for name in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        try:
            if found := json_file.mapping(folder / name).get("processor_class"):
                return str(found)
        except (OSError, ValueError):
            continue
    return ""
