"""`python -m evaluation.benchmarks.scenes OUT.tsv`: held-out procedural scenes as a benchmark in VLMEvalKit's format.

The questions are those that the shipped checkpoints are measured on (`datagen.micro.evaluate`), so the score of any
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
    """`count` rows of `COLUMNS`, each about a scene of its own, equally many of each skill.

    With `as_kit` the images are those that VLMEvalKit would send: encoded as JPEG again, with Pillow's defaults.
    """
    for index in range(count):
        # The draws of `datagen.micro.evaluate.held_out`, which needs torch; a test compares the two.
        rng = named_seed("held out", seed, index)
        about = scene(rng)
        things = captions.shuffled(about.things, rng)
        question = questions.ask(things, rng, questions.SKILLS[index % len(questions.SKILLS)])
        choices = questions.options(question, rng)
        answer = next(letter for letter, text in choices.items() if text == question.answer)
        image = base64.b64encode(_recoded(jpeg(about)) if as_kit else jpeg(about)).decode()
        yield (str(index), image, question.text, *choices.values(), answer, question.skill)


def _recoded(image: bytes) -> bytes:
    data = io.BytesIO()
    Image.open(io.BytesIO(image)).save(data, "JPEG")
    return data.getvalue()


def write(path: Path, count: int, seed: int = 0, *, as_kit: bool = False) -> None:
    """Write the benchmark to a file."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows(count, seed, as_kit=as_kit))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.getvalue().encode())


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.benchmarks.scenes", description="Held-out scenes as a benchmark."
    )
    parser.add_argument("out", type=Path, help="the TSV file")
    parser.add_argument("--questions", type=int, default=300, metavar="N", help="default 300")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--as-kit", action="store_true", help="encode images as JPEG again, as VLMEvalKit does")
    options = parser.parse_args(argv)
    write(options.out, options.questions, options.seed, as_kit=options.as_kit)
    say(f"{options.out}: {options.questions} questions.")


if __name__ == "__main__":
    main()
