"""The card of a model, as little as the Hub needs."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from cards.publish.staged import StagedModel


def render_model(staged: StagedModel) -> Sequence[Path]:
    """Write README.md into the staged folder."""
    metadata = yaml.safe_dump({"library_name": "transformers", "tags": ["capcurriculum"]}, sort_keys=False)
    path = staged.folder / "README.md"
    path.write_text(f"---\n{metadata}---\n\n# {staged.repo_id.partition('/')[2]}\n", encoding="utf-8")
    return [path]
