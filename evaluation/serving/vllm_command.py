"""The `vllm serve` command of a model: what its backbone's file says, and nothing that vLLM would choose by itself.

Requests must mean here what they mean in rollouts: vLLM's own neutral sampling defaults instead of the checkpoint's (a
repetition penalty in `generation_config.json` changes greedy replies), images resized as training resizes them.
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


#: What a model that is fetched from the Hub needs: its token, and the way there.
_HUB = ("HF_TOKEN", "http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What a user asks for beside the model; None or "" leaves it to the backbone. `images` is the most a request has.

    `python` is the interpreter of the environment that vLLM is in, "" for this one.
    """

    port: int = 8000
    tensor_parallel: int | None = None
    gpu_memory: float | None = None
    images: int = 1
    max_length: int | None = None
    python: str = ""


@dataclass(frozen=True, slots=True)
class Launch:
    """A command, what it adds to the environment, and where and under which name the model then answers.

    `keep` names what is secret in our environment and needed by it (see `child_environment`).
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
        """All variables of the server's process."""
        return child_environment.environment(self.variables, self.keep)

    def shell(self) -> str:
        """The command as a shell takes it."""
        own = own_variables(self.variables)
        return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in own.items()), shlex.join(self.argv)])


def launch(target: Target, wanted: ServeOptions) -> Launch:
    """How to serve `target`.

    Raises:
        EvaluationError: it is an endpoint already, its backbone is not known, or vLLM would refuse the lengths.
    """
    if not target.model:
        raise EvaluationError(f"{target.label} is an endpoint that is up already; there is nothing to serve.")
    base = target.base
    if base is None:
        raise EvaluationError(f"Which backbone {target.label} has is not known; name it with --backbone.")
    argv = [*_program(wanted.python), "serve", target.model]
    argv += ["--host", HOST, "--port", str(wanted.port), "--served-model-name", target.alias]
    argv += ["--load-format", "safetensors", "--generation-config", "vllm", "--seed", "0"]
    argv += ["--dtype", base.dtype, "--max-model-len", str(wanted.max_length or longest(target, base, wanted.images))]
    argv += ["--limit-mm-per-prompt", json.dumps({"image": wanted.images, "video": 0})]
    if limits := pixels(target, base):
        argv += ["--mm-processor-kwargs", json.dumps(dict(zip(("min_pixels", "max_pixels"), limits, strict=True)))]
    if base.template:
        argv += ["--default-chat-template-kwargs", json.dumps(base.template)]
    if base.device == "cpu":
        argv += ["--enforce-eager", "--max-num-seqs", "32"]
    else:
        knobs = base.knobs
        parallel = wanted.tensor_parallel or knobs.tensor_parallel or 1
        argv += ["--tensor-parallel-size", str(parallel)]
        # Training leaves room for the trainer; a server has the GPU to itself.
        argv += ["--gpu-memory-utilization", str(wanted.gpu_memory or 0.9)]
    variables = _SHARED | (_CPU if base.device == "cpu" else {})
    return Launch(tuple(argv), variables, target.alias, wanted.port, () if target.folder else _HUB)


def _program(python: str) -> list[str]:
    """vLLM's command of this environment or of another."""
    interpreter = Path(python or sys.executable)
    command = interpreter.with_name("vllm")
    return [str(command)] if command.is_file() else [str(interpreter), "-m", "vllm.entrypoints.cli.main"]


def reply_tokens(base: Backbone | None) -> int:
    """The longest reply that training with this backbone allows; 2048 where there is none to ask."""
    return max(_knob(base, "max_response_tokens")) if base else 2048


def longest(target: Target, base: Backbone, images: int) -> int:
    """Tokens of a prompt with so many images of the largest size and of its reply, at most what the model can."""
    limits = _range(target, base)
    area = (base.image_patch_size * _MERGE) ** 2
    text = max(_knob(base, "max_prompt_tokens")) + reply_tokens(base)
    told = config(target.folder)
    most = (told.get("text_config") or told).get("max_position_embeddings")
    wanted = images * (limits[1] // area) + text
    return min(wanted, most) if isinstance(most, int) else wanted


def pixels(target: Target, base: Backbone) -> tuple[int, int] | None:
    """The limits of an image's area that its processor has to be told; None where its own are as narrow.

    Only processors of the Qwen-VL kind have such limits; the others cut an image into tiles of one size.
    """
    own = _own(target)
    if not base.processor.startswith("Qwen"):
        return None
    found = _range(target, base)
    return None if found == own else found


def _range(target: Target, base: Backbone) -> tuple[int, int]:
    """What training lets through, within what the processor lets through."""
    knobs = base.knobs
    low, high = knobs.min_pixels or 1, knobs.max_pixels or 1
    own = _own(target)
    return (max(low, own[0]), min(high, own[1])) if own else (low, high)


def _own(target: Target) -> tuple[int, int] | None:
    """The limits in a checkpoint's own processor."""
    if target.folder is None:
        return None
    for name in ("processor_config.json", "preprocessor_config.json"):
        path = target.folder / name
        if path.is_file():
            try:
                told = json_file.mapping(path)
                size = (told.get("image_processor") or told).get("size") or {}
                if "shortest_edge" in size and "longest_edge" in size:
                    return int(size["shortest_edge"]), int(size["longest_edge"])
            except (OSError, ValueError, TypeError, AttributeError) as error:
                raise EvaluationError(f"{path} is damaged; export or fetch the checkpoint again.") from error
    return None


def _knob(base: Backbone, name: str) -> list[int]:
    """All values that a backbone's layers give a knob."""
    layers = [base.knobs, *base.stages.values(), *base.scripts.values()]
    return [value for layer in layers if (value := getattr(layer, name)) is not None]
