"""vLLM in this process: its queue is kept full while we read, parse and write, so a GPU never waits for us.

Requests are handed over one group at a time (`same_prompt`) and outputs are taken as they finish; whenever fewer than
the recipe's number are waiting, more are rendered. Nothing waits for the slowest request of a batch, as it would with
one `LLM.chat` call after the other.

Per-request seeds are not sent: vLLM on the CPU dies of them. The engine's own seed is fixed, but which requests share a
step depends on timing, so sampled replies differ between runs.
"""

import os
from collections.abc import Iterable, Iterator
from typing import Any, Self

from capcurriculum.errors import EngineError
from capcurriculum.recipe.models import ModelSection
from capcurriculum.rows import Message, Request, Response, Sampling
from capcurriculum.torchvision_shim import ensure_torchvision
from datagen import image_decoding, shown
from datagen.engines.openai.reply import failed
from datagen.engines.protocol import Traffic
from datagen.engines.same_prompt import Group, grouped
from datagen.engines.smart_resize import PixelLimits, fitted
from datagen.micro import resolve

_ON_CPU = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_HOST_IP": "127.0.0.1"}


class VLLMEngine:
    """A checkpoint run by vLLM's offline engine."""

    window = None

    def __init__(self, section: ModelSection) -> None:
        self.section = section
        self.traffic = Traffic()
        self.llm = load(section)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.llm.llm_engine.engine_core.shutdown()
        del self.llm

    def stream(self, requests: Iterable[Request | None]) -> Iterator[Response]:
        """Responses as their groups finish; see `Engine.stream`."""
        waiting = grouped(requests, self.section.max_n)
        flying: dict[str, Group] = {}
        exhausted = waits = False
        try:
            while True:
                while not (exhausted or waits) and sum(map(len, flying.values())) < self.section.vllm.in_flight:
                    group = next(waiting, ())
                    if group is None:
                        waits = True
                    elif not group:
                        exhausted = True
                    elif problem := self._enqueue(group, flying):
                        yield from failed(group, problem)
                if exhausted and not flying:
                    return
                if not flying:
                    raise RuntimeError("the iterator of requests gave None while every request was answered")
                for output in self.llm.llm_engine.step():
                    if output.finished:
                        yield from _responses(flying.pop(output.request_id), output)
                        waits = False
        finally:
            self.llm.llm_engine.abort_request(list(flying))

    def _enqueue(self, group: Group, flying: dict[str, Group]) -> str:
        """Hand a group over; a sentence if vLLM refuses it, for example because the prompt is too long."""
        from vllm.exceptions import VLLMValidationError

        try:
            number = self.llm.enqueue_chat(
                [conversation(group[0], self.section)],
                [_parameters(group, self.section)],
                use_tqdm=False,
                chat_template_kwargs=self.section.template_arguments,
            )[0]
        except (ValueError, VLLMValidationError, image_decoding.ImageProblem) as error:
            return " ".join(str(error).split())[:300]
        # What comes back is `<number>-<random>`; outputs carry the number alone.
        flying[number.split("-", 1)[0]] = group
        self.traffic.requests += 1
        return ""


def load(section: ModelSection) -> Any:
    """The `vllm.LLM` of a recipe's model.

    Raises:
        EngineError: the `vllm` extra is missing, or the checkpoint cannot be loaded.
    """
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    try:
        import torch

        gpu = torch.cuda.is_available()
        if not gpu:
            # One process and little room for keys and values: the micro model needs neither.
            for name, value in _ON_CPU.items():
                os.environ.setdefault(name, value)
        ensure_torchvision()
        from vllm import LLM
    except ImportError as error:
        raise EngineError(f"The vllm engine needs {error.name}; install capcurriculum[vllm].") from error
    if not hasattr(LLM, "enqueue_chat"):
        raise EngineError(
            "This vLLM has no LLM.enqueue_chat (0.27.1 does); upgrade it, or run `vllm serve` and an openai engine."
        )
    try:
        return LLM(**_arguments(section, gpu=gpu))
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise EngineError(f"vLLM cannot load the model {section.model}: {reason}") from error


def _arguments(section: ModelSection, *, gpu: bool) -> dict[str, Any]:
    own = section.vllm
    on_cpu = {"dtype": "float32", "enforce_eager": True, "distributed_executor_backend": "uni"}
    on_gpu = {"dtype": own.dtype, "gpu_memory_utilization": own.gpu_memory_utilization}
    return {
        "model": resolve(section.model),
        "seed": 0,
        "max_model_len": own.max_model_len,
        "max_num_seqs": own.max_num_seqs,
        "tensor_parallel_size": own.tensor_parallel_size,
        "limit_mm_per_prompt": {"image": 1, "video": 0},
        "enable_prefix_caching": True,
        "trust_remote_code": False,
        "load_format": "safetensors",
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
        "disable_log_stats": True,
        **(on_gpu if gpu else on_cpu),
    }


def conversation(request: Request, section: ModelSection) -> list[dict[str, Any]]:
    """The request's turns as vLLM takes them, images opened.

    Raises:
        ImageProblem: an image cannot be read.
    """
    paths = iter(request.image_paths)
    return [{"role": turn.role, "content": _content(turn, paths, section)} for turn in request.messages]


def _content(turn: Message, paths: Iterator[str], section: ModelSection) -> str | list[dict[str, Any]]:
    if not turn.images:
        return turn.text
    images = (fitted(shown.read(next(paths)), PixelLimits.of(section)) for _ in range(turn.images))
    return [*({"type": "image_pil", "image_pil": image} for image in images), {"type": "text", "text": turn.text}]


def _parameters(group: Group, section: ModelSection) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    sampling: Sampling = group[0].sampling
    schema = group[0].schema if section.structured else ""
    return SamplingParams(
        n=len(group),
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        max_tokens=sampling.max_tokens,
        structured_outputs=StructuredOutputsParams(json=schema) if schema else None,
    )


def _responses(group: Group, output: Any) -> Iterator[Response]:
    """One response a request; the prompt's tokens are counted once, as they are processed once."""
    prompt = len(output.prompt_token_ids or ())
    for place, (request, completion) in enumerate(zip(group, output.outputs, strict=True)):
        yield Response(
            key=request.key,
            text=completion.text,
            finish=completion.finish_reason or "unknown",
            tokens_in=0 if place else prompt,
            tokens_out=len(completion.token_ids),
        )
