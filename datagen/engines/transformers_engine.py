"""Batched generation in this process with `transformers`: the default where there is no GPU and no server.

Requests of one window are sorted by length and cut into batches, so little is spent on padding, and every draw is
seeded by its request (see `gumbel`).
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Self

from jinja2 import TemplateError

from capcurriculum.errors import EngineError
from capcurriculum.recipe.models import ModelSection
from capcurriculum.rows import Request, Response
from capcurriculum.torchvision_shim import ensure_torchvision
from datagen import shown
from datagen.batched import windows, windows_until_none
from datagen.engines.protocol import Traffic
from datagen.engines.smart_resize import PixelLimits, fitted
from datagen.image_decoding import ImageProblem
from datagen.micro import resolve

BATCHES_A_WINDOW = 4
SMALL_MODEL = 50_000_000
#: What templates and processors raise on turns and images that they do not take.
REFUSALS = (ValueError, TypeError, LookupError, RuntimeError, TemplateError, ImageProblem)


class TransformersEngine:
    """A checkpoint folder or Hub id, run by `transformers`."""

    def __init__(self, section: ModelSection) -> None:
        self.traffic = Traffic()
        self.section = section
        self.batch_size, self.window = section.batch_size, section.batch_size * BATCHES_A_WINDOW
        self.limits = PixelLimits.of(section)
        self.model, self.processor = load(section.model)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        del self.model, self.processor

    def stream(self, requests: Iterable[Request | None]) -> Iterator[Response]:
        """Responses batch by batch; see `Engine.stream`. A None ends a window before it is full."""
        tokenizer = getattr(self.processor, "tokenizer", self.processor)
        for window in windows_until_none(requests, self.window):
            rendered = []
            for request in window:
                try:
                    rendered.append((request, self._render(request)))
                except REFUSALS as error:
                    yield _refused(request, error)
            rendered.sort(key=lambda pair: (repr(pair[0].sampling), len(tokenizer(pair[1]).input_ids), pair[0].key))
            for _, same in groupby(rendered, key=lambda pair: pair[0].sampling):
                for batch in windows(same, self.batch_size):
                    yield from self._generate([r for r, _ in batch], [t for _, t in batch])

    def _render(self, request: Request) -> str:
        if request.image_paths and not hasattr(self.processor, "image_processor"):
            raise ValueError("the model reads text alone and is shown an image")  # a tokenizer would pass over it
        contents = (
            [{"type": "image"}] * m.images + [{"type": "text", "text": m.text}] if m.images else m.text
            for m in request.messages
        )
        turns = [{"role": m.role, "content": content} for m, content in zip(request.messages, contents, strict=True)]
        arguments = self.section.template_arguments
        return str(self.processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False, **arguments))

    def _generate(self, requests: Sequence[Request], texts: Sequence[str]) -> Iterator[Response]:
        import torch
        from transformers import GenerationConfig, LogitsProcessorList

        from datagen.engines.gumbel import SeededSampling

        try:
            inputs = self._inputs(requests, texts)
        except REFUSALS as error:
            if len(requests) == 1:
                yield _refused(requests[0], error)
                return
            for request, text in zip(requests, texts, strict=True):  # so that the others are not lost
                yield from self._generate([request], [text])
            return
        own = self.model.generation_config
        sampling = requests[0].sampling
        ends = {"eos_token_id": own.eos_token_id, "pad_token_id": own.pad_token_id}
        config = GenerationConfig(max_new_tokens=sampling.max_tokens, do_sample=False, **ends)
        draw = LogitsProcessorList([SeededSampling([r.key for r in requests], sampling)])
        inputs = inputs.to(self.model.device)
        with torch.inference_mode():
            output = self.model.generate(**inputs, generation_config=config, logits_processor=draw)
        self.traffic.requests += len(requests)
        start = inputs["input_ids"].shape[1]
        prompt_tokens = inputs["attention_mask"].sum(dim=1).tolist()
        for request, tokens_in, row in zip(requests, prompt_tokens, output[:, start:].tolist(), strict=True):
            yield self._response(request, int(tokens_in), row)

    def _inputs(self, requests: Sequence[Request], texts: Sequence[str]) -> Any:
        images = [fitted(shown.read(path), self.limits) for r in requests for path in r.image_paths]
        seen = {"images": images} if images else {}
        return self.processor(text=list(texts), padding=True, padding_side="left", return_tensors="pt", **seen)

    def _response(self, request: Request, tokens_in: int, row: list[int]) -> Response:
        ends = self.model.generation_config.eos_token_id
        ends = set(ends) if isinstance(ends, list) else {ends}
        stop = next((i for i, token in enumerate(row) if token in ends), None)
        text = self.processor.decode(row[:stop], skip_special_tokens=True)
        return Response(
            key=request.key,
            text=text,
            finish="length" if stop is None else "stop",
            tokens_in=tokens_in,
            tokens_out=len(row) if stop is None else stop + 1,
        )


def _refused(request: Request, error: Exception) -> Response:
    """A failed response for this row alone; where all fail alike, the step stops (see `datagen.asking.outcomes`)."""
    said = str(error) if isinstance(error, (ValueError, ImageProblem)) else f"{type(error).__name__}: {error}"
    if isinstance(error, TemplateError):
        said = f"the chat template refuses it ({error}); check chat_template_kwargs and reasoning_effort"
    return Response(request.key, "", "error", error=" ".join(said.split())[:300])


def load(name: str) -> tuple[Any, Any]:
    """The model in evaluation mode and its processor.

    Safetensors only and no code from the checkpoint is run. A model of under 50 M parameters gets one thread: with
    more, OpenMP's spinning costs a small model twenty times its own time.

    Raises:
        EngineError: the `local` extra is missing, or the checkpoint cannot be loaded.
    """
    path = resolve(name)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import torch
        import transformers
    except ImportError as error:
        raise EngineError(f"The transformers engine needs {error.name}; install capcurriculum[local].") from error
    ensure_torchvision()  # the image processor imports it, and beside a CPU torch PyPI's build does not load
    # Its own bars and remarks would break our progress display.
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    local = Path(path).is_dir()
    try:
        config = transformers.AutoConfig.from_pretrained(path, local_files_only=local)
        seeing = type(config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        auto = transformers.AutoModelForImageTextToText if seeing else transformers.AutoModelForCausalLM
        reader = transformers.AutoProcessor if seeing else transformers.AutoTokenizer
        dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
        model = auto.from_pretrained(path, dtype=dtype, use_safetensors=True, local_files_only=local)
        processor = reader.from_pretrained(path, local_files_only=local)
    except (OSError, ValueError) as error:
        raise EngineError(f"The model {name} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
    if torch.cuda.is_available():
        model = model.to("cuda")
    elif sum(p.numel() for p in model.parameters()) < SMALL_MODEL:
        torch.set_num_threads(1)
    return model.eval(), processor
