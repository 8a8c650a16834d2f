"""Small stage files of the published schema, with coloured pictures, for tests of the trainer."""

import io
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from capcurriculum import prompts
from capcurriculum.recipe import Recipe, parse
from capcurriculum.rows import Question, Stage
from capcurriculum.run import Run

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "yellow": (230, 220, 30)}
LETTERS = "ABCD"

_FEATURES = {
    "images": {"feature": {"_type": "Image"}, "_type": "List"},
}


@cache
def picture(colour: str, size: int = 64) -> bytes:
    """A PNG of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (size, size), COLOURS[colour]).save(file, "PNG")
    return file.getvalue()


def weights(text: str, names: Iterable[str] = ()) -> bytes:
    """A safetensors file with one tensor, whose numbers are the bytes of `text`, and empty ones of these names."""
    data = text.encode()
    size = len(data)
    tensors: dict[str, object] = {name: {"dtype": "U8", "shape": [0], "data_offsets": [size, size]} for name in names}
    tensors["w"] = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    header = json.dumps(tensors).encode()
    return len(header).to_bytes(8, "little") + header + data


def row(stage: str, number: int, split: str) -> dict[str, object]:
    """A question about a colour; text rows ask for a sum and have neither picture nor options; every other row of the
    set "merged" is one of them.
    """
    if stage == "merged":
        stage = "visual" if number % 2 else "text"
    names = list(COLOURS)
    turn = number % 4
    options = names[turn:] + names[:turn]
    key = LETTERS[(number * 7 + number // 4) % 4]
    colour = options[LETTERS.index(key)]
    if stage == Stage.TEXT:
        problem, answer, options, images = f"What is {number} + {number % 5}?", str(number + number % 5), [], []
    else:
        listed = "\n".join(f"{letter}: {text}" for letter, text in zip(LETTERS, options, strict=True))
        extra = "look closely. " * (number % 3)
        problem = f"<image>{extra}What is the colour?\nOptions:\n{listed}\n"
        answer, images = key, [{"bytes": picture(colour), "path": f"{number}.png"}]
    question_id = f"{stage}-{split}-{number}"
    return {
        "index": question_id,
        "problem": problem,
        "answer": answer,
        "images": images,
        "source": "test",
        "predictions": [answer, "no answer"],
        "correctness": [True, False],
        "pass_rate": 0.5,
        "question_id": question_id,
        "stage": stage,
        "skill": "attribute",
        "options": options,
        "pass_k": 1,
        "pass_n": 2,
        "pass_low": 0.1,
        "pass_high": 0.9,
        "pass_full": True,
        "license": "cc0-1.0",
        "split": split,
        "data_source": f"capcurriculum/{stage}",
        "prompt": [{"role": "system", "content": prompts.system()}, {"role": "user", "content": problem}],
        "ability": stage,
        "reward_model": {"style": "rule", "ground_truth": answer},
        "extra_info": {
            "index": number,
            "split": split,
            "question_id": question_id,
            "stage": stage,
            "options": options,
        },
    }


def schema() -> pa.Schema:
    """The stage schema, with the mark by which `datasets` shows the pictures."""
    text, texts = pa.string(), pa.list_(pa.string())
    turns = pa.list_(pa.struct([("role", text), ("content", text)]))
    fields = {
        **dict.fromkeys(("index", "problem", "answer"), text),
        "images": pa.list_(pa.struct([("bytes", pa.binary()), ("path", text)])),
        "source": text,
        "predictions": texts,
        "correctness": pa.list_(pa.bool_()),
        "pass_rate": pa.float64(),
        **dict.fromkeys(("question_id", "stage", "skill"), text),
        "options": texts,
        **dict.fromkeys(("pass_k", "pass_n"), pa.int64()),
        **dict.fromkeys(("pass_low", "pass_high"), pa.float64()),
        **dict.fromkeys(("license", "split", "data_source"), text),
        "prompt": turns,
        "ability": text,
        "reward_model": pa.struct([("style", text), ("ground_truth", text)]),
        "extra_info": pa.struct(
            [("index", pa.int64()), ("split", text), ("question_id", text), ("stage", text), ("options", texts)]
        ),
    }
    return pa.schema(list(fields.items()))


def recipe(root: Path, training: Mapping[str, object], **more: object) -> Recipe:
    """The recipe of a training on stage files in `root/runs/demo`, whose models nobody asks."""
    data = {
        "name": "demo",
        "runs": str(root / "runs"),
        "models": {"m": {"engine": "transformers", "model": "x"}},
        "rollouts": {"model": "m"},
        "text": {"source": {"kind": "scenes"}},
        "training": training,
    }
    return parse(data | more, "test")


def write_stage(folder: Path, stage: str, train: int = 16, val: int = 4) -> Path:
    """Write `folder/<stage>/{train,val}-00000-of-00001.parquet` and return the stage's folder."""
    target = folder / stage
    target.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", train), ("val", val)):
        rows = [row(stage, number, split) for number in range(count)]
        table = pa.Table.from_pylist(rows, schema=schema())
        pq.write_table(table, target / f"{split}-00000-of-00001.parquet")
    (target / "counts.json").write_text(json.dumps({"train": train, "val": val}))
    return target


def write_captions(run: Path, stage: str, train: int = 16, val: int = 4) -> None:
    """Write the questions of the stage's rows with a caption each; two questions are about one image."""
    rows = [(split, number) for split, count in (("train", train), ("val", val)) for number in range(count)]
    Run(run).questions.append(
        Question(
            question_id=f"{stage}-{split}-{number}", stage=stage, problem="What is the colour?", answer="A", options=(),
            skill="attribute", image_id=f"{split}-{number // 2}", image_path="", caption_id="", source="test",
            caption=f"A picture that is all of one colour, the {number // 2}th of its kind.", license="cc0-1.0",
        )
        for split, number in rows
    )  # fmt: skip
