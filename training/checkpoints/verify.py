"""Load a trained checkpoint once, as its users will, ask it one question, and say what is wrong with it.

`python -m training.checkpoints.verify CHECKPOINT PARENT [FROZEN]` prints one line of JSON,
`{"fault": "", "reply": ...}` when nothing is. A process of its own, so that the caller
imports no torch and gets all memory back.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import safe_open
from transformers import AutoModelForImageTextToText, AutoProcessor

from capcurriculum import prompts

_QUESTION = "What colour is the picture?\nOptions:\nA: red\nB: green\nC: grey\nD: blue\n"
_TOKENS = 24  # of the reply; enough to see that it can speak


def examine(folder: Path, parent: Path, frozen: str = "") -> tuple[str, str]:
    """(what is wrong with the checkpoint in `folder` as the offspring of `parent`, its reply); "" if nothing is.

    Weights in whose names `frozen`, a regular expression, is found must be the parent's, bit for bit.
    """
    model, report = AutoModelForImageTextToText.from_pretrained(folder, dtype="auto", output_loading_info=True)
    absent = sorted(report["missing_keys"])
    if absent:
        return f"it lacks the weights {', '.join(absent[:3])}", ""
    broken = [name for name, value in model.named_parameters() if not torch.isfinite(value).all()]
    if broken:
        return f"{len(broken)} tensors are not finite, the first is {broken[0]}", ""
    before, after = _locate(parent), _locate(folder)
    changed = [name for name in sorted(before.keys() & after.keys()) if _differs(name, before, after)]
    if not changed:
        return "its weights equal the parent's, so the run has taught it nothing", ""
    melted = [name for name in changed if frozen and re.search(frozen, name)]
    if melted:
        return f"{len(melted)} weights that were to be frozen have changed, the first is {melted[0]}", ""
    reply = _reply(model, folder)
    return ("" if reply.strip() else "it answers a question about a picture with nothing"), reply


def _reply(model: Any, folder: Path) -> str:
    """What the checkpoint says, in its own chat format, of a grey picture."""
    processor = AutoProcessor.from_pretrained(folder)
    picture = {"type": "image", "image": Image.new("RGB", (96, 96), (128, 128, 128))}
    text = {"type": "text", "text": _QUESTION}
    turns = [
        {"role": "system", "content": [{"type": "text", "text": prompts.system()}]},
        {"role": "user", "content": [picture, text]},
    ]
    asked = processor.apply_chat_template(
        turns, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    with torch.inference_mode():
        said = model.eval().generate(**asked.to(model.dtype), max_new_tokens=_TOKENS, do_sample=False)
    replies: list[str] = processor.batch_decode(said[:, asked["input_ids"].shape[1] :], skip_special_tokens=True)
    return replies[0]


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
    found, answered = examine(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
    print(json.dumps({"fault": found, "reply": answered}))
