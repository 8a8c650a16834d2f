"""The card of a data set, as little as it takes for `datasets` to load it."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from cards.publish.staged import Staged


def render(staged: Staged) -> Sequence[Path]:
    """Write README.md into the staged folder."""
    configs = [
        {
            "config_name": one.config,
            **({"default": True} if number == 0 and len(staged.sets) > 1 else {}),
            "data_files": [{"split": split, "path": pattern} for split, pattern in one.data_files.items()],
        }
        for number, one in enumerate(staged.sets)
    ]
    metadata = yaml.safe_dump({"tags": ["capcurriculum"], "configs": configs}, sort_keys=False, allow_unicode=True)
    path = staged.folder / "README.md"
    names = ", ".join(one.name for one in staged.sets)
    path.write_text(f"---\n{metadata}---\n\n# {names} of {staged.recipe.name}\n", encoding="utf-8")
    return [path]
