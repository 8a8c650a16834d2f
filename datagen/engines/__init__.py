"""What answers requests: a model in this process (transformers, vLLM) or behind an HTTP endpoint."""

from typing import assert_never

from capcurriculum.recipe.models import ModelSection
from datagen.engines.protocol import Engine


def create(section: ModelSection) -> Engine:
    """The engine a recipe's model names, loaded.

    Raises:
        EngineError: it cannot be loaded or reached; the sentence says what to install, to set or to check.
    """
    match section.engine:
        case "transformers":
            from datagen.engines.transformers_engine import TransformersEngine

            return TransformersEngine(section)
        case "openai":
            from datagen.engines.openai.engine import OpenAIEngine

            return OpenAIEngine(section)
        case "vllm":
            from datagen.engines.vllm_engine import VLLMEngine

            return VLLMEngine(section)
        case _:
            assert_never(section.engine)
