"""What of a recipe is published: all that makes the data what it is, nothing of machines, keys and addresses."""

from pathlib import Path

import pytest

from capcurriculum import recipe
from hub.publish.redact import clean, published
from tests.support import hub_runs

SECRETS = (
    "/data/private",
    "/home/alice",
    "secret-client",
    "10.1.2.3",
    "SECRET_CORP_KEY",
    "hf_abcdefghijklmnop",
    "alice@corp.example",
    "models.corp.internal",
)


def private(folder: Path) -> recipe.Recipe:
    """A recipe with everything that is nobody else's business."""
    model = {
        "engine": "openai",
        "base_urls": ["http://10.1.2.3:8000/v1", "https://models.corp.internal/v1"],
        "api_key_env": "SECRET_CORP_KEY",
    }
    path = "/data/private/secret-client/docci"
    return hub_runs.wanted(
        folder,
        runs="/home/alice/runs",
        models={
            "teacher": model | {"model": "Qwen/Qwen2.5-72B-Instruct"},
            "one": model | {"model": "/home/alice/checkpoints/filter-7b"},
            "two": model | {"model": "two"},
            "policy": {"engine": "transformers", "model": "~/secret-client/policy"},
        },
        perception={
            "source": {"kind": "pixmo", "path": path, "download": {"user_agent": "builder (alice@corp.example)"}},
            "teacher": {"model": "teacher"},
            "probe": {"solvers": ["one", "two"]},
        },
        visual={
            "source": {
                "kind": "problems",
                "path": "secret-client/visual",
                "columns": {"image": "image"},
                "images": "secret-client/pictures.zip",
                "source": "shapes of hf_abcdefghijklmnop",
            }
        },
        filters=[
            *({"name": name} for name in ("perception", "rollouts", "difficulty")),
            {"name": "contamination", "signatures": ["/data/private/mathvista.json"]},
        ],
        training={"backbone": "micro", "model": "/home/alice/start"},
    )


def test_nothing_private_is_in_the_published_recipe(tmp_path: Path) -> None:
    text = recipe.dump(published(private(tmp_path)))
    assert [secret for secret in SECRETS if secret in text] == []


def test_what_makes_the_data_what_it_is_stays(tmp_path: Path) -> None:
    shown = published(private(tmp_path))
    assert shown.models["teacher"].model == "Qwen/Qwen2.5-72B-Instruct"
    assert shown.models["one"].model == "filter-7b"
    assert shown.perception is not None
    assert shown.perception.source is not None
    assert shown.perception.source.path == "docci"
    assert shown.training is not None
    assert shown.training.model == "start"
    before = private(tmp_path)
    assert [line for line in recipe.differences(before, shown) if "models." not in line and "source" not in line] == []
    assert published(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/alice/models/x", "x"),
        ("~/models/x", "x"),
        ("../x/y", "y"),
        (r"C:\Users\alice\x", "x"),
        ("https://user:pw@example.com/x", "redacted"),
        ("https://example.com/x?token=1", "redacted"),
        ("http://192.168.0.1/x", "redacted"),
        ("http://box/x", "redacted"),
        ("file:///home/alice/x", "x"),
        ("https://example.com/x", "https://example.com/x"),
        ("see https://example.com/x.", "see https://example.com/x."),
        ("kept in /home/alice/x by us", "kept in x by us"),
        ("sk-proj-abcdefghijklmnop", "redacted"),
        ("Bearer abcdefghijk", "redacted"),
        ("Qwen/Qwen3-VL-8B-Instruct", "Qwen/Qwen3-VL-8B-Instruct"),
        ("a fraction of 3/4 and/or more", "a fraction of 3/4 and/or more"),
        ("micro:start", "micro:start"),
        ("images/*.tar.gz", "images/*.tar.gz"),
        ("", ""),
    ],
)
def test_texts_lose_secrets_paths_and_private_addresses(text: str, shown: str) -> None:
    assert clean(text) == shown
