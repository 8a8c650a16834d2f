"""Load a trained checkpoint once, as its users will, and say what is wrong with it.

`python -m training.verify CHECKPOINT PARENT` prints one line of JSON, `{"fault": ""}` when nothing is. A process of its
own, so that the caller imports no torch and gets all memory back.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import AutoModelForImageTextToText, AutoProcessor


def fault(folder: Path, parent: Path) -> str:
    """What is wrong with the checkpoint in `folder` as the offspring of `parent`, "" if nothing."""
    AutoProcessor.from_pretrained(folder)
    model, report = AutoModelForImageTextToText.from_pretrained(folder, dtype="auto", output_loading_info=True)
    absent = sorted(report["missing_keys"])
    if absent:
        return f"it lacks the weights {', '.join(absent[:3])}"
    broken = [name for name, value in model.named_parameters() if not torch.isfinite(value).all()]
    if broken:
        return f"{len(broken)} tensors are not finite, the first is {broken[0]}"
    before, after = _locate(parent), _locate(folder)
    if not any(_differs(name, before, after) for name in before.keys() & after.keys()):
        return "its weights equal the parent's, so the run has taught it nothing"
    return ""


def _locate(folder: Path) -> dict[str, Path]:
    """Tensor name -> the file that holds it."""
    where: dict[str, Path] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            where |= dict.fromkeys(file.keys(), path)
    return where


def _differs(name: str, before: dict[str, Path], after: dict[str, Path]) -> bool:
    with safe_open(before[name], framework="pt") as old, safe_open(after[name], framework="pt") as new:
        return not torch.equal(old.get_tensor(name).float(), new.get_tensor(name).float())


if __name__ == "__main__":
    print(json.dumps({"fault": fault(Path(sys.argv[1]), Path(sys.argv[2]))}))
