"""Odd files and others' pictures: do engines, stage files, evaluations and verl's data set show the same?"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from PIL import ImageChops

from benchmarks.real_files import others
from curricula import images
from datagen import micro, shown
from datagen.image_decoding import ImageProblem
from tests.support import odd_images, viewers
from training.on_verl import environment

_ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".avif", ".bmp"}


def differ() -> float:
    """Files of which any of them shows another picture than the rest; those that are refused are shown by none."""
    stored, plain, wrong = list[bytes](), list[bytes](), set[int]()
    with tempfile.TemporaryDirectory() as name:
        files = [*_odd(Path(name), odd_images.every()), *_theirs()]
        for file in files:
            try:
                picture = shown.read(file)
            except ImageProblem:
                continue
            for look in viewers.EVERY:
                seen = look(file)
                if seen.size != picture.size or ImageChops.difference(seen, picture).getbbox() is not None:
                    wrong.add(len(stored))
            stored.append(images.read(file).data)
            plain.append(odd_images.saved(picture, "PNG"))
        # verl rounds sides to whole patches, so the very picture goes the same way.
        trained = zip(_trained(Path(name) / "stored", stored), _trained(Path(name) / "plain", plain), strict=True)
        wrong |= {number for number, (one, other) in enumerate(trained) if one != other}
    print(f"{len(stored)} of {len(files)} files shown", file=sys.stderr)
    return float(len(wrong))


def _trained(folder: Path, files: Sequence[bytes]) -> list[object]:
    """Mode, size and digest of the pictures that verl's data set gives to its rollouts."""
    from tests.support.preflight_data import seeing, write
    from tests.training.on_verl.test_dataset import SCRIPT

    made = write(folder, [seeing(number, data) for number, data in enumerate(files)], marked=True)
    command = [sys.executable, "-c", SCRIPT, str(micro.checkpoint("start")), str(made.train[0])]
    done = subprocess.run(command, env=environment.trainer_environment("cpu"), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"verl's data set could not be read: {done.stderr[-2000:]}")
    seen: list[object] = json.loads(done.stdout.strip().splitlines()[-1])
    return seen


def _odd(folder: Path, odd: Iterable[odd_images.Odd]) -> Iterator[Path]:
    (folder / "odd").mkdir()
    for number, (_, data, _) in enumerate(odd):
        file = folder / "odd" / str(number)
        file.write_bytes(data)
        yield file


def _theirs() -> Iterator[Path]:
    root = others()
    for file in sorted(root.rglob("*")) if root else ():
        if file.suffix.lower() in _ENDINGS:
            yield file
