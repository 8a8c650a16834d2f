"""What verl 0.9.1 can give pictures to, known from its source so that a training is refused before anything is loaded.

verl builds a model's inputs from its processor, and knows the processors below by the names of their classes
(`verl/utils/tokenizer/tokenizer.py`, `hf_processor`). Of any other it returns None after a warning, and the first row
with a picture ends the run, minutes later. A test holds this list against the installed verl.
"""

import json
from pathlib import Path

from capcurriculum.errors import RecipeError, TrainerError

PROCESSORS = (
    "Gemma4Processor",
    "Glm46VProcessor",
    "Glm4vProcessor",
    "MllamaProcessor",
    "Qwen2VLProcessor",
    "Qwen2_5_VLProcessor",
    "Qwen3VLProcessor",
)
#: Those of the models whose sequences verl splits (`verl/models/transformers/monkey_patch.py`,
#: `patch_vlm_for_ulysses_input_slicing`); in another every GPU would get the whole sequence and a part of its targets.
SPLIT = ("Glm4vProcessor", "Qwen2VLProcessor", "Qwen2_5_VLProcessor", "Qwen3VLProcessor")
#: Processors of our backbones that verl lacks -> what it would take.
_NEEDED = {
    "InternVLProcessor": (
        "verl would have to accept it, keep its image token where it builds a reply's inputs again, and run the vision "
        "tower on every GPU in batches without pictures"
    )
}


def check_processor(name: str, model: str) -> None:
    """Refuse a model whose processor verl does not know.

    Raises:
        TrainerError: with what would be needed, where that is known.
    """
    if name and name not in PROCESSORS:
        needed = f" ({_NEEDED[name]})" if name in _NEEDED else ""
        raise TrainerError(
            f"verl 0.9.1 cannot train {model} on pictures: it has no way to use its {name}{needed}; take the backbone "
            f"qwen3_vl_8b or qwen2_5_vl_7b, see docs/training.md."
        )


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
            said = json.loads((folder / name).read_text(encoding="utf-8")).get("processor_class")
        except (OSError, ValueError):
            continue
        if said:
            return str(said)
    return ""
