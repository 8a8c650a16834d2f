"""Held-out scenes of the embedded world as a benchmark in VLMEvalKit's format.

Run as `python -m evaluation.benchmarks.scenes OUT.tsv`.

The questions are those that the shipped checkpoints are measured on (`datagen.micro.evaluate`), so a score by any
engine can be compared with a known one, without a network.
"""

import argparse
import base64
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from capcurriculum.render.terminal import say
from capcurriculum.tables import write_atomically
from datagen.micro import captions, questions
from datagen.micro.export import jpeg
from datagen.micro.scenes import named_seed, scene

COLUMNS = ("index", "image", "question", "A", "B", "C", "D", "answer", "category")


def rows(count: int, seed: int = 0, *, as_kit: bool = False) -> Iterator[tuple[str, ...]]:
    """`count` questions, each about a scene of its own, as many of each skill; see `COLUMNS`.

    With `as_kit` the pictures are those that VLMEvalKit would send: once more through JPEG, by Pillow's defaults.
    """
    for index in range(count):
        # As `datagen.micro.evaluate.held_out` draws them, which needs torch; a test holds the two together.
        rng = named_seed("held out", seed, index)
        about = scene(rng)
        things = captions.shuffled(about.things, rng)
        question = questions.ask(things, rng, questions.SKILLS[index % len(questions.SKILLS)])
        choices = questions.options(question, rng)
        answer = next(letter for letter, text in choices.items() if text == question.answer)
        picture = _again(jpeg(about)) if as_kit else jpeg(about)
        image = base64.b64encode(picture).decode()
        yield (str(index), image, question.text, *choices.values(), answer, question.skill)


def _again(picture: bytes) -> bytes:
    data = io.BytesIO()
    Image.open(io.BytesIO(picture)).save(data, "JPEG")
    return data.getvalue()


def write(path: Path, count: int, seed: int = 0, *, as_kit: bool = False) -> None:
    """The benchmark as a file."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows(count, seed, as_kit=as_kit))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.getvalue().encode())


def main(argv: Sequence[str] | None = None) -> None:
    """Write the file that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.benchmarks.scenes", description="Held-out scenes as a benchmark."
    )
    parser.add_argument("out", type=Path, help="the TSV file")
    parser.add_argument("--questions", type=int, default=300, metavar="N", help="default 300")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--as-kit", action="store_true", help="pictures once more through JPEG, as VLMEvalKit sends them"
    )
    options = parser.parse_args(argv)
    write(options.out, options.questions, options.seed, as_kit=options.as_kit)
    say(f"{options.out}: {options.questions} questions.")


if __name__ == "__main__":
    main()
