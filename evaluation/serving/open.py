"""Open a model: as an engine in this process, or as an API that is running or is started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from capcurriculum.errors import EngineError, EvaluationError
from capcurriculum.recipe.models import ModelSection, VLLMSection
from datagen import engines
from datagen.engines.openai import served_models
from datagen.engines.protocol import Engine
from evaluation.job import Job
from evaluation.serving import server, vllm_command
from evaluation.serving.models import Target
from evaluation.serving.server import Server

KEY = "OPENAI_API_KEY"
#: Seconds without a reply after which an endpoint counts as down.
PATIENCE_SECONDS = 60.0
#: The same for a server started here, which is not restarted.
OWN_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The base URL of a model, its served name, and the server if it was started here."""

    url: str
    served: str
    server: Server | None = None

    def ended(self) -> str:
        """How the server ended, "" while it runs or if it was not started here."""
        return self.server.ended() if self.server else ""


def key(target: Target) -> str:
    """The key for a model's API, "" for a server that is started here."""
    return os.environ.get(KEY, "") if target.url else ""


def runner(target: Target, job: Job) -> str:
    """What runs a model of the own engine."""
    if target.url:
        return "endpoint"
    return job.runner or ("transformers" if target.base and target.base.device == "cpu" else "vllm")


@contextmanager
def endpoint(target: Target, job: Job) -> Iterator[Endpoint]:
    """The model's API; a server that is started for it ends with the block.

    Raises:
        EvaluationError: the endpoint does not answer, or the server cannot be started.
    """
    if target.url:
        yield Endpoint(target.url, served(target))
        return
    launch = vllm_command.launch(target, replace(job.serving(), port=server.free_port()))
    job.display.note(f"starting a server of {target.label}; its log is {server.folder_of(launch) / 'server.log'}")
    with server.serving(launch, job.patience_seconds) as running:
        yield Endpoint(launch.url, launch.served, running)


@contextmanager
def engine(target: Target, job: Job) -> Iterator[Engine]:
    """The loaded engine of a model.

    Raises:
        EngineError: the model cannot be loaded, its endpoint cannot be used, or the server has ended.
        EvaluationError: a server for it cannot be started.
    """
    how = runner(target, job)
    if how not in ("endpoint", "serve"):
        with engines.create(_section(target, job, how)) as opened:
            yield opened
        return
    with endpoint(target, job) as found:
        section = ModelSection(
            engine="openai",
            model=found.served,
            base_urls=(found.url,),
            api_key_env=KEY,
            concurrency=job.concurrency,
            patience_seconds=OWN_PATIENCE_SECONDS if found.server else PATIENCE_SECONDS,
        )
        try:
            with engines.create(section) as opened:
                yield opened
        except EngineError as error:
            if ended := found.ended():
                raise EngineError(f"{ended}.") from error
            raise


def _section(target: Target, job: Job, how: str) -> ModelSection:
    base = target.base
    if base is None:
        raise EvaluationError(f"Which backbone {target.label} has is not known; name it with --backbone.")
    limits = vllm_command.pixels(target, base)
    length = job.server.max_length or vllm_command.longest(target, base, job.serving().images)
    values = {
        "engine": how,
        "model": target.model,
        "min_pixels": limits[0] if limits else None,
        "max_pixels": limits[1] if limits else None,
        "pixel_multiple": 2 * base.image_patch_size,
        "chat_template_kwargs": base.template,
        "vllm": VLLMSection(
            max_model_len=length,
            tensor_parallel_size=job.server.tensor_parallel or base.knobs.tensor_parallel or 1,
            gpu_memory_utilization=job.server.gpu_memory or 0.9,
        ),
    }
    return ModelSection.model_validate(values)


def served(target: Target) -> str:
    """The served name at an endpoint: its only model, or the one called like the label.

    Raises:
        EvaluationError: the endpoint does not answer, or serves several models with other names.
    """
    try:
        names = served_models.names(target.url, key(target))
    except EngineError as error:
        raise EvaluationError(str(error)) from error
    if len(names) == 1:
        return names[0]
    if matching := [name for name in names if name in (target.label, target.alias)]:
        return matching[0]
    raise EvaluationError(f"The endpoint {target.url} serves {', '.join(names)}; name the one meant before the =.")
