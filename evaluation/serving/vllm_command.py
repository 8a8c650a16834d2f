"""The `vllm serve` command of a model, with the settings of its backbone.

Requests behave as in rollouts: vLLM's neutral sampling defaults replace the checkpoint's (a repetition penalty in
`generation_config.json` changes greedy replies), and images are resized as in training.
"""

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.errors import EvaluationError
from capcurriculum.files import json_file
from capcurriculum.trust import child_environment
from evaluation.serving.models import Target, config
from training.knobs import Backbone
from training.on_verl.environment import own_variables

HOST = "127.0.0.1"
_MERGE = 2  # all backbones merge 2 x 2 patches into a token
_CPU = {
    "OMP_NUM_THREADS": "1",  # small matrices mostly wait with two
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_HOST_IP": HOST,
}
_SHARED = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_LOGGING_LEVEL": "WARNING", "PYTHONUNBUFFERED": "1"}
#: Needed to download a model from the Hub: the token and proxies.
_HUB = ("HF_TOKEN", "http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Options of a server; None means the backbone's value. `images` is the maximum number in a request.

    `python` is the interpreter of the environment with vLLM, "" for this one.
    """

    port: int = 8000
    tensor_parallel: int | None = None
    gpu_memory: float | None = None
    images: int = 1
    max_length: int | None = None
    python: str = ""


@dataclass(frozen=True, slots=True)
class Launch:
    """A command, the variables that it adds to the environment, and the served name and port.

    `keep` names the secrets of the environment that it needs (see `child_environment`).
    """

    argv: tuple[str, ...]
    variables: Mapping[str, str]
    served: str
    port: int
    keep: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The base URL of the API."""
        return f"http://{HOST}:{self.port}/v1"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the server's process."""
        return child_environment.environment(self.variables, self.keep)

    def shell(self) -> str:
        """The command in shell syntax."""
        own = own_variables(self.variables)
        return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in own.items()), shlex.join(self.argv)])


def launch(target: Target, options: ServeOptions) -> Launch:
    """The command that serves `target`; raises `EvaluationError` if it is an endpoint, or its backbone is unknown."""
    if not target.model:
        raise EvaluationError(f"{target.label} is an endpoint that is running already; there is nothing to serve.")
    base = target.base
    if base is None:
        raise EvaluationError(f"Which backbone {target.label} has is not known; name it with --backbone.")
    argv = [*_program(options.python), "serve", target.model]
    argv += ["--host", HOST, "--port", str(options.port), "--served-model-name", target.alias]
    argv += ["--load-format", "safetensors", "--generation-config", "vllm", "--seed", "0"]
    argv += ["--dtype", base.dtype, "--max-model-len", str(options.max_length or longest(target, base, options.images))]
    argv += ["--limit-mm-per-prompt", json.dumps({"image": options.images, "video": 0})]
    if limits := pixels(target, base):
        argv += ["--mm-processor-kwargs", json.dumps(dict(zip(("min_pixels", "max_pixels"), limits, strict=True)))]
    if base.template:
        argv += ["--default-chat-template-kwargs", json.dumps(base.template)]
    if base.device == "cpu":
        argv += ["--enforce-eager", "--max-num-seqs", "32"]
    else:
        argv += ["--tensor-parallel-size", str(options.tensor_parallel or base.knobs.tensor_parallel or 1)]
        # More than in training, where the trainer shares the GPU.
        argv += ["--gpu-memory-utilization", str(options.gpu_memory or 0.9)]
    variables = _SHARED | (_CPU if base.device == "cpu" else {})
    return Launch(tuple(argv), variables, target.alias, options.port, () if target.folder else _HUB)


def _program(python: str) -> list[str]:
    """The `vllm` command of an environment ("": this one)."""
    interpreter = Path(python or sys.executable)
    command = interpreter.with_name("vllm")
    return [str(command)] if command.is_file() else [str(interpreter), "-m", "vllm.entrypoints.cli.main"]


def reply_tokens(base: Backbone | None) -> int:
    """Tokens of the longest reply in training with this backbone; 2048 without a backbone."""
    return max(_knob(base, "max_response_tokens")) if base else 2048


def longest(target: Target, base: Backbone, images: int) -> int:
    """Tokens of the longest prompt with `images` of the largest size and its reply, capped by the model's context."""
    limits = _range(target, base)
    area = (base.image_patch_size * _MERGE) ** 2
    text = max(_knob(base, "max_prompt_tokens")) + reply_tokens(base)
    values = config(target.folder)
    most = (values.get("text_config") or values).get("max_position_embeddings")
    wanted = images * (limits[1] // area) + text
    return min(wanted, most) if isinstance(most, int) else wanted


def pixels(target: Target, base: Backbone) -> tuple[int, int] | None:
    """(min, max) pixels to set in the image processor; None where its own limits are as narrow.

    Only Qwen-VL processors have such limits; others split an image into tiles of one size.
    """
    if not base.processor.startswith("Qwen"):
        return None
    found = _range(target, base)
    return None if found == _processor_range(target) else found


def _range(target: Target, base: Backbone) -> tuple[int, int]:
    """(min, max) pixels of training, within the limits of the processor."""
    knobs = base.knobs
    low, high = knobs.min_pixels or 1, knobs.max_pixels or 1
    own = _processor_range(target)
    return (max(low, own[0]), min(high, own[1])) if own else (low, high)


def _processor_range(target: Target) -> tuple[int, int] | None:
    """(min, max) pixels of the checkpoint's image processor, None if it has no such limits."""
    if target.folder is None:
        return None
    for name in ("processor_config.json", "preprocessor_config.json"):
        path = target.folder / name
        if path.is_file():
            try:
                values = json_file.mapping(path)
                size = (values.get("image_processor") or values).get("size") or {}
                if "shortest_edge" in size and "longest_edge" in size:
                    return int(size["shortest_edge"]), int(size["longest_edge"])
            except (OSError, ValueError, TypeError, AttributeError) as error:
                raise EvaluationError(f"{path} is damaged; export or fetch the checkpoint again.") from error
    return None


def _knob(base: Backbone, name: str) -> list[int]:
    """All values of a knob in the layers of a backbone."""
    layers = [base.knobs, *base.stages.values(), *base.scripts.values()]
    return [value for layer in layers if (value := getattr(layer, name)) is not None]
