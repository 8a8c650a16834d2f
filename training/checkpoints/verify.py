"""Load a trained checkpoint with transformers, ask it one question, and report what is wrong with it.

`python -m training.checkpoints.verify CHECKPOINT PARENT [FROZEN]` prints one line of JSON, `{"fault": "", "reply":
...}` if nothing is. It runs as a separate process, so the caller imports no torch and gets all memory back.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from capcurriculum import prompts
from training.checkpoints.rewriting import located, read

_QUESTION = "What colour is the picture?\nOptions:\nA: red\nB: green\nC: grey\nD: blue\n"
_TOKENS = 24  # of the reply


def examine(folder: Path, parent: Path, frozen: str = "") -> tuple[str, str]:
    """(the fault of the checkpoint in `folder`, its reply); the fault is "" if there is none.

    It is compared with its `parent`: some weights must differ, and those in whose names the regular expression `frozen`
    is found must not.
    """
    model, report = AutoModelForImageTextToText.from_pretrained(folder, dtype="auto", output_loading_info=True)
    absent = sorted(report["missing_keys"])
    if absent:
        return f"it lacks the weights {', '.join(absent[:3])}", ""
    broken = [name for name, value in model.named_parameters() if not torch.isfinite(value).all()]
    if broken:
        return f"{len(broken)} tensors are not finite, the first is {broken[0]}", ""
    before, after = located(parent), located(folder)
    names = sorted(before.keys() & after.keys())
    changed = [name for name in names if not torch.equal(read(before, name).float(), read(after, name).float())]
    if not changed:
        return "its weights equal the parent's, so the run has taught it nothing", ""
    thawed = [name for name in changed if frozen and re.search(frozen, name)]
    if thawed:
        return f"{len(thawed)} weights that were to be frozen have changed, the first is {thawed[0]}", ""
    reply = _reply(model, folder)
    return ("" if reply.strip() else "it answers a question about a picture with nothing"), reply


def _reply(model: Any, folder: Path) -> str:
    """The greedy reply to a question about a grey image, in the model's chat format."""
    processor = AutoProcessor.from_pretrained(folder)
    image = {"type": "image", "image": Image.new("RGB", (96, 96), (128, 128, 128))}
    turns = [
        {"role": "system", "content": [{"type": "text", "text": prompts.system()}]},
        {"role": "user", "content": [image, {"type": "text", "text": _QUESTION}]},
    ]
    inputs = processor.apply_chat_template(
        turns, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    with torch.inference_mode():
        output = model.eval().generate(**inputs.to(model.dtype), max_new_tokens=_TOKENS, do_sample=False)
    replies: list[str] = processor.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return replies[0]


if __name__ == "__main__":
    found, answered = examine(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
    print(json.dumps({"fault": found, "reply": answered}))
