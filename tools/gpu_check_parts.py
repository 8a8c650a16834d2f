"""The parts of the GPU check that need a model, in a process each: `... tools.gpu_check_parts PART FOLDER DEVICE`.

Each prints one line last, and ends with an error where it fails.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from datagen import micro

#: Head size, grouped keys and depth are those of a real Qwen3-VL; so few layers make it small.
_TEXT = {
    "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 2, "num_attention_heads": 8,
    "num_key_value_heads": 2, "head_dim": 128, "tie_word_embeddings": False,
}  # fmt: skip
_ROPE = [24, 20, 20]
_GAP = 0.05


def random_model(folder: Path) -> Path:
    """A random Qwen3-VL of two layers with the micro models' tokenizer; made once."""
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    target, source = folder / "random", Path(micro.checkpoint("start"))
    if target.is_dir():
        return target
    config = json.loads((source / "config.json").read_text())
    config["text_config"] |= _TEXT
    config["text_config"]["rope_parameters"]["mrope_section"] = _ROPE
    config["vision_config"]["out_hidden_size"] = _TEXT["hidden_size"]
    config["tie_word_embeddings"] = False
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(Qwen3VLConfig(**config)).to(torch.bfloat16)
    part = target.with_name(".random.partial")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(source, part, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    model.save_pretrained(part)
    part.replace(target)
    return target


def imports(folder: Path, device: str) -> None:
    """What the preflight of a training asks."""
    from training.preflight.findings import Findings
    from training.preflight.machine import hardware

    command = [sys.executable, "-m", "training.preflight.machine.probe"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    findings = Findings()
    hardware.faults(report, hardware.Asked(1, 1, 0.3, 4.0, 1, None), findings)
    errors = [one for one in findings.errors() if device == "cuda" or one.check not in ("cuda", "gpus")]
    errors = [one for one in errors if device == "cuda" or "flash_attn" not in one.text]
    if errors:
        raise SystemExit("Error: " + " ".join(one.sentence() for one in errors))
    print(", ".join(f"{name} {module['version']}" for name, module in report["modules"].items()), *_gpu(report))


def _gpu(report: dict[str, dict[str, list[dict[str, str]]]]) -> list[str]:
    return [f"on {gpu['name']}" for gpu in (report["cuda"] or {}).get("gpus", [])[:1]]


def attention(folder: Path, device: str) -> None:
    """Mean difference of log-probabilities, flash attention against torch's own."""
    import torch
    from PIL import Image
    from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

    path = random_model(folder)
    processor = AutoProcessor.from_pretrained(path)
    turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How many circles are there?"}]}]
    text = processor.apply_chat_template(turns, add_generation_prompt=True)
    inputs = processor(text=[text], images=[Image.effect_noise((96, 96), 80).convert("RGB")], return_tensors="pt").to(
        device
    )
    found = []
    for kind in ("sdpa", "flash_attention_2" if device == "cuda" else "eager"):
        model = Qwen3VLForConditionalGeneration.from_pretrained(path, dtype=torch.bfloat16, attn_implementation=kind)
        with torch.inference_mode():
            found.append(model.to(device)(**inputs).logits.float().log_softmax(-1))
    ids = inputs["input_ids"][0, 1:, None]
    one, other = (logits[0, :-1].gather(1, ids) for logits in found)
    gap = float((one - other).abs().mean())
    if not gap < _GAP:
        raise SystemExit(f"Error: log-probabilities differ by {gap:.4f} on the mean, more than {_GAP}")
    print(f"log-probabilities differ by {gap:.4f} on the mean over {len(ids)} tokens")


def rollouts(folder: Path, device: str) -> None:
    """Eight replies to a picture by vLLM."""
    from capcurriculum.recipe.models import ModelSection
    from capcurriculum.rows import Message, Request, Sampling
    from datagen import engines
    from datagen.micro.render import render
    from datagen.micro.scenes import named_seed, scene

    picture = folder / "scene.png"
    render(scene(named_seed("gpu check"))).save(picture)
    section = ModelSection.model_validate(
        {
            "engine": "vllm",
            "model": str(random_model(folder)),
            "vllm": {"gpu_memory_utilization": 0.3, "max_model_len": 1024},
        }
    )
    turns = (Message("user", "How many circles are there?", images=1),)
    sampling = Sampling(temperature=1.0, max_tokens=32)
    asked = [Request.make(str(k), turns, sampling, images=(("scene", str(picture)),)) for k in range(8)]
    with engines.create(section) as engine:
        replies = list(engine.stream(asked))
    if failed := [reply for reply in replies if reply.finish == "error"]:
        raise SystemExit(f"Error: {len(failed)} of 8 requests failed: {failed[0].text}")
    print(f"8 replies, {sum(reply.tokens_out for reply in replies)} tokens")


if __name__ == "__main__":
    {"imports": imports, "attention": attention, "rollouts": rollouts}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
