"""The `models` and `ray` sections of a recipe: how a model is run and sampled, how many workers run it, its prices."""

from collections.abc import Collection, Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from capcurriculum.did_you_mean import meant
from capcurriculum.recipe.base import Section, matching
from capcurriculum.recipe.requests import ExtraBody, TemplateArguments
from capcurriculum.rows import Sampling
from capcurriculum.trust import endpoint_urls
from capcurriculum.trust.headers import Headers, KeyVariable, variables

#: Keys of a model that say where and how fast, not what; `capcurriculum.recipe.NO_EFFECT` takes them in.
MODEL_NO_EFFECT: tuple[str, ...] = (
    "base_urls",
    "api_key_env",
    "headers",
    "concurrency",
    "batch_size",
    "timeout_seconds",
    "tries",
    "patience_seconds",
    "max_n",
    "image_cache_mb",
    "reply_bytes",
    "price_in",
    "price_out",
    "tokens_per_second",
    "vllm.in_flight",
    "vllm.tensor_parallel_size",
    "vllm.max_num_seqs",
    "vllm.gpu_memory_utilization",
)
#: Keys of a model that say how it is asked beside the sampling. Left at their defaults they change no digest, so what
#: was asked before there were any stays known.
ASKED_WITH: tuple[str, ...] = ("chat_template_kwargs", "reasoning_effort", "max_completion_tokens", "extra_body")
#: Those that hold free JSON.
FREE: tuple[str, ...] = ("chat_template_kwargs", "extra_body")

#: Of an endpoint's reply. Sixteen replies of 32,768 tokens are 10 MB if every letter is escaped and they come twice, as
#: servers under two names for thoughts send them; and a model that is asked by 64 requests at once fills 1 GB at most.
REPLY_BYTES = 16_000_000
#: The variable that holds an endpoint's key unless the recipe names another.
DEFAULT_KEY = "OPENAI_API_KEY"
Effort = Annotated[str, matching(r"[A-Za-z][A-Za-z0-9_-]{0,31}", "a word such as low, medium or high")]
_REQUEST_ONLY = ("max_completion_tokens", "extra_body", "headers")


class SamplingSection(Section):
    """How replies are drawn; see `capcurriculum.rows.Sampling`."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    max_tokens: PositiveInt = 512

    def record(self) -> Sampling:
        """The same values as a record."""
        return Sampling(self.temperature, self.top_p, self.top_k, self.max_tokens)


class VLLMSection(Section):
    """How vLLM runs a model in this process; see vLLM's engine arguments of the same names.

    `in_flight` replies are kept waiting in its queue, so that it always has a full batch to choose from. For more than
    one replica start one `vllm serve` each and name them all in the base_urls of an openai engine: vLLM itself offers
    no data parallelism to a single process.
    """

    in_flight: PositiveInt = 2048
    tensor_parallel_size: PositiveInt = 1
    max_model_len: PositiveInt = 8192
    max_num_seqs: PositiveInt = 256
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.9
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"


class ModelSection(Section):
    """A model and the engine that runs it.

    `model` is a name the engine understands: a Hub id, a folder, or `micro:NAME` for one shipped with the package.

    For `openai`: at most `concurrency` HTTP requests are in flight over all `base_urls`, and fewer where an endpoint
    answers 429 or 503; `max_n` rollouts of one prompt go into one of them. A reply that has not come after
    `timeout_seconds`, or is no reply, is asked for `tries` times, one of more than `reply_bytes` is not read on and is
    final; endpoints that have all served nothing for `patience_seconds` stop the build.

    An image whose pixels, with both sides rounded to multiples of `pixel_multiple` (the backbone's patch times merge:
    32 for Qwen3-VL, 28 for Qwen2.5-VL), number more than `max_pixels` or less than `min_pixels` is resized by the
    backbone's own rule before it is sent; without limits its file's bytes are sent as they are.

    `chat_template_kwargs` go to the model's chat template (`enable_thinking: false`), by way of the request's body for
    `openai`; `reasoning_effort` is a key of that body, and for the other engines an argument of the template, as vLLM's
    own server makes it. The other three are for `openai` alone. `max_completion_tokens` is what the bound on a reply is
    called in the request instead of `max_tokens`: true sends that of the sampling, a number (which counts thoughts too)
    takes its place. `extra_body` is merged into the body last, and a key that is null there is taken out of it.
    `headers` are sent with each request; their values are in the environment, see `capcurriculum.trust.headers`.

    `price_in` and `price_out` (money per million tokens) and `tokens_per_second` (output, all requests together) are
    what `build --dry-run` counts with.
    """

    engine: Literal["transformers", "openai", "vllm"]
    model: str
    base_urls: tuple[Annotated[str, AfterValidator(endpoint_urls.checked)], ...] = ()
    api_key_env: KeyVariable = DEFAULT_KEY
    concurrency: PositiveInt = 64
    batch_size: PositiveInt = 64
    timeout_seconds: PositiveFloat = 600
    tries: PositiveInt = 5
    patience_seconds: PositiveFloat = 120
    max_n: PositiveInt = 16
    image_cache_mb: PositiveInt = 64
    reply_bytes: PositiveInt = REPLY_BYTES
    structured: bool = True
    min_pixels: PositiveInt | None = None
    max_pixels: PositiveInt | None = None
    pixel_multiple: PositiveInt = 32
    chat_template_kwargs: TemplateArguments = {}
    reasoning_effort: Effort | None = None
    max_completion_tokens: int | bool | None = None
    extra_body: ExtraBody = {}
    headers: Headers = {}
    price_in: Annotated[float, Field(ge=0)] | None = None
    price_out: Annotated[float, Field(ge=0)] | None = None
    tokens_per_second: PositiveFloat | None = None
    vllm: VLLMSection = VLLMSection()

    @model_validator(mode="after")
    def _endpoint_named(self) -> "ModelSection":
        if self.engine == "openai" and not self.base_urls:
            raise ValueError("an openai engine needs base_urls, for example [http://127.0.0.1:8000/v1]")
        for variable in {self.api_key_env, *(variable for _, variable in variables(self.headers))}:
            for url in self.base_urls:
                endpoint_urls.check_hub_token(variable, url)
        return self

    @model_validator(mode="after")
    def _limits_leave_room(self) -> "ModelSection":
        smallest = self.pixel_multiple**2
        if self.max_pixels and self.max_pixels < max(smallest, self.min_pixels or 0):
            raise ValueError(f"max_pixels must be at least min_pixels and at least {smallest}, one patch")
        return self

    @field_validator("max_completion_tokens", mode="before")
    @classmethod
    def _number_or_true(cls, value: object) -> object:
        if value is None or value is True or (type(value) is int and 0 < value < 2**31):
            return value
        raise ValueError("must be a whole number above 0, or true to send the sampling's max_tokens under this name")

    @model_validator(mode="after")
    def _requests_are_sent(self) -> "ModelSection":
        for key in _REQUEST_ONLY:
            if self.engine != "openai" and getattr(self, key):
                raise ValueError(
                    f"{key} is part of an HTTP request, and the engine {self.engine} sends none; leave it out, or use "
                    "engine: openai"
                )
        return self

    @property
    def asked_with(self) -> dict[str, Any]:
        """How it is asked beside the sampling: those of `ASKED_WITH` that the recipe gives."""
        return self.model_dump(mode="json", include=set(ASKED_WITH), exclude_defaults=True)

    @property
    def template_arguments(self) -> dict[str, Any]:
        """Arguments of a chat template rendered here, as vLLM's server makes them of the same keys of a request."""
        arguments = dict(self.chat_template_kwargs)
        if self.reasoning_effort:
            arguments = {"enable_thinking": self.reasoning_effort != "none"} | arguments
            arguments["reasoning_effort"] = self.reasoning_effort
        return arguments

    def reply_limit(self, max_tokens: int) -> int:
        """The most tokens of a reply for which a sampling says `max_tokens`."""
        own = self.max_completion_tokens
        return max_tokens if own is None or own is True else own


def undefined(place: str, names: Iterable[str], models: Collection[str]) -> list[str]:
    """A sentence for each of `names`, which stand at `place`, that is no entry of `models`."""
    known = f"it has {', '.join(models)}" if models else "it is empty"
    return [
        f"{place} names {name!r}, and models has no such entry{meant(name, models)}; {known}"
        for name in names
        if name not in models
    ]


class RayWorkers(Section):
    """How many `workers` run a model, and the `gpus` and `cpus` of each.

    Left out, `gpus` is what the engine uses: vllm its tensor_parallel_size, transformers one, each only where the
    cluster has any, openai none. `workers` is as many as the cluster has room for, and one for an openai engine, whose
    endpoints do the work: each worker keeps the model's whole `concurrency` in flight.
    """

    workers: PositiveInt | None = None
    gpus: Annotated[float, Field(ge=0)] | None = None
    cpus: PositiveInt | None = None


class RaySection(RayWorkers):
    """What holds for every model, and in `models`, by its name in the recipe, what is different for one.

    `block` is how many captions or questions a worker is given at once. It works on two blocks, so that its engine
    never runs empty while others have work; a block's replies should be no fewer than the engine handles together.
    """

    block: PositiveInt = 256
    models: dict[str, RayWorkers] = {}

    def workers_for(self, name: str, model: ModelSection, gpus_there: bool) -> RayWorkers:
        """What the model's workers get, only their number left open; `gpus_there`: the cluster has some."""
        own = self.models.get(name, RayWorkers())
        workers = own.workers or self.workers or (1 if model.engine == "openai" else None)
        gpus = next((g for g in (own.gpus, self.gpus) if g is not None), None)
        if gpus is None:
            used = {"vllm": model.vllm.tensor_parallel_size, "transformers": 1, "openai": 0}[model.engine]
            gpus = used if gpus_there else 0
        return RayWorkers(workers=workers, gpus=gpus, cpus=own.cpus or self.cpus or 1)
