"""Faults of the kinds that trainers have had, planted in verl's own processes, for the pixel canary to find.

Every process of a training runs this through a `sitecustomize` of ours (`planted`), which the project's own lets run.
Each fault is silent by itself: no shape, length or token differs from a right run's, the last one's apart.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from training.on_verl.patches.import_hooks import after_import

_VARIABLE = "CAPCURRICULUM_PLANTED_FAULT"
_SITE = "from benchmarks.canary_faults import install\n\ninstall()\n"
_ENGINE = "verl.workers.engine.fsdp.transformer_impl"
_LOOPS = "verl.experimental.agent_loop.agent_loop"
_SERVER = "verl.workers.rollout.vllm_rollout.vllm_async_server"
#: Looks with other rows each in one clean training.
CLEAN_LOOKS = 10


@contextmanager
def planted(fault: str, folder: Path) -> Iterator[None]:
    """Trainings that are started meanwhile have the fault (one of `FAULTS`); `folder` is for the way it gets there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(_SITE)
    before = dict(os.environ)
    os.environ |= {_VARIABLE: fault, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def install() -> None:
    """Plant what the environment names, in whatever process this is."""
    module, patch = FAULTS[os.environ[_VARIABLE]]
    after_import(module, patch)


def _inputs(change: Callable[[list[Any]], list[Any]]) -> Callable[[ModuleType], None]:
    """Change the list of a pass's pictures, where the trainer's model is given them; texts alone are not in it."""

    def patch(module: ModuleType) -> None:
        original = module.extract_multi_modal_inputs

        def extract(inputs: Any) -> Any:
            return original(change([one for one in inputs if getattr(one, "data", one)]))

        module.extract_multi_modal_inputs = extract  # type: ignore[attr-defined]

    return patch


def _pairs(inputs: list[Any]) -> list[Any]:
    places = range(len(inputs) - len(inputs) % 2)
    return [inputs[place ^ 1] for place in places] + inputs[len(places) :]


def _coarse(image: Any) -> Any:
    """The picture as it is after a stop at half its size."""
    return image.resize((image.width // 2, image.height // 2)).resize(image.size)


def _coarse_for_the_trainer(module: ModuleType) -> None:
    worker = module.AgentLoopWorker
    original = worker._compute_multi_modal_inputs

    def compute(self: Any, output: Any, input_ids: Any) -> Any:
        data = dict(output.multi_modal_data or {})
        if images := data.get("images"):
            output = output.model_copy(update={"multi_modal_data": data | {"images": list(map(_coarse, images))}})
        return original(self, output, input_ids)

    worker._compute_multi_modal_inputs = compute


def _served(change: Callable[[Any], Any]) -> Callable[[ModuleType], None]:
    """Change the pictures that the rollout engine is sent."""

    def patch(module: ModuleType) -> None:
        server = module.vLLMHttpServer
        original = server.generate

        async def generate(self: Any, *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("image_data"):
                kwargs["image_data"] = change(kwargs["image_data"])
            return await original(self, *args, **kwargs)

        server.generate = generate

    return patch


def _blank(images: list[Any]) -> list[Any]:
    return [image.convert("L").point(lambda value: 128).convert("RGB") for image in images]


def _stretched(images: list[Any]) -> list[Any]:
    """Pictures of another shape, of which the processor makes another number of tokens."""
    return [image.resize((image.width * 2, image.height)) for image in images]


def _many_looks(module: ModuleType) -> None:
    """No fault: the first look is followed by others at other rows."""
    original, looked = module.Canary.look, [False]

    def look(self: Any) -> None:
        original(self)
        for seed in () if looked[0] else range(1, CLEAN_LOOKS):
            original(module.Canary(self.trainer, seed))
        looked[0] = True

    module.Canary.look = look


#: Name -> module in which it is planted, and how; "clean" plants nothing wrong.
FAULTS: Mapping[str, tuple[str, Callable[[ModuleType], None]]] = MappingProxyType(
    {
        "clean": ("training.canary.hook", _many_looks),
        "dropped": (_ENGINE, _inputs(lambda inputs: [])),
        "swapped": (_ENGINE, _inputs(_pairs)),
        "shifted": (_ENGINE, _inputs(lambda inputs: inputs[1:] + inputs[:1])),
        "resized": (_LOOPS, _coarse_for_the_trainer),
        "dropped for the rollout": (_SERVER, _served(_blank)),
        "resized for the rollout": (_SERVER, _served(_stretched)),
    }
)
