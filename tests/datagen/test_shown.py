"""One picture: what every engine is given, what stage files hold and what people see are the same pixels."""

import io
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops

from cards.report import images as report
from curricula import images as stage_pictures
from datagen import image_decoding, shown
from review import images as review
from tests.support import odd_images, viewers
from tests.support.odd_images import Odd, base, saved

ODD = odd_images.every()
each = pytest.mark.parametrize("odd", ODD, ids=[name for name, _, _ in ODD])


@pytest.fixture
def path(tmp_path: Path, odd: Odd) -> Path:
    file = tmp_path / "odd"
    file.write_bytes(odd[1])
    return file


def test_there_are_enough_of_them() -> None:
    assert len(ODD) >= 60


@each
@pytest.mark.parametrize("seen", viewers.EVERY)
def test_all_see_the_one_picture(path: Path, odd: Odd, seen: Any) -> None:
    picture = seen(path)
    assert picture.mode == "RGB"
    assert viewers.farthest(picture, odd[2]) <= 1  # rounding of half clear pixels
    assert ImageChops.difference(picture, shown.read(path)).getbbox() is None


@each
def test_people_see_it_too(path: Path, odd: Odd) -> None:
    ((_, on_page),) = report.each([report.RowImage("p", "text", "odd")], {"text": path.parent})
    in_review = review.picture(path.parent, "odd").data
    for data in (on_page, in_review):
        with Image.open(io.BytesIO(data)) as image:
            near = np.abs(np.asarray(image.convert("RGB"), dtype=int) - np.asarray(odd[2], dtype=int))
        assert near.mean() < 12  # they are small and lossy


def test_files_that_nobody_shows_otherwise_stay_as_they_are() -> None:
    names = {name for name, data, _ in ODD if shown.file(data) == data}
    assert {
        "JPEG turned 1",
        "PNG turned 1",
        "WEBP turned 1",
        "PNG RGBA opaque",
        "JPEG CMYK",
        "MPO",
        "GIF",
        "BMP",
    } <= names
    assert not {"JPEG turned 6", "PNG RGBA", "GIF P clear", "PNG L clear", "PNG 16 bits in 16"} & names


@pytest.mark.parametrize("kind", ["F", "I"])
def test_numbers_without_a_scale_are_refused(tmp_path: Path, kind: str) -> None:
    values = np.full((64, 96), 0.5, np.float32) if kind == "F" else np.full((64, 96), 1 << 20, np.int32)
    file = tmp_path / "wide.tiff"
    file.write_bytes(saved(Image.fromarray(values), "TIFF"))
    for read in (
        lambda: shown.checked(file.read_bytes(), 10**6),
        lambda: shown.read(file),
        lambda: shown.file(file.read_bytes()),
    ):
        with pytest.raises(image_decoding.ImageProblem, match="nothing says which is white") as caught:
            read()
        assert caught.value.reason == "unreadable_pixels"


def test_a_strip_is_refused_before_a_processor_sees_it(tmp_path: Path) -> None:
    file = tmp_path / "strip.png"
    file.write_bytes(saved(base().resize((9000, 40)), "PNG"))
    with pytest.raises(image_decoding.ImageProblem, match="200 times"):
        shown.read(file)


def test_a_picture_is_known_by_its_pixels_and_stage_files_keep_the_digest_of_its_file(tmp_path: Path) -> None:
    upright = base()
    turned = Image.Exif()
    turned[0x0112] = 3
    files = {
        "upright": saved(upright, "PNG"),
        "turned": saved(upright.rotate(180), "PNG", exif=turned),
        "bitmap": saved(upright, "BMP"),
        "another": saved(upright.rotate(180), "PNG"),
    }
    ids = {name: shown.image_id(shown.checked(data, 10**6)) for name, data in files.items()}
    assert ids["upright"] == ids["turned"] == ids["bitmap"] != ids["another"]
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        picture = stage_pictures.read(tmp_path / name)
        assert picture.file_sha256 == sha256(data).hexdigest()
        assert (picture.data == data) == (name != "turned")


def test_the_clear_number_of_a_wide_picture_is_white(tmp_path: Path) -> None:
    values = np.full((64, 96), 24_000, np.uint16)
    values[10:30, 10:60] = 0
    values[40:50, 10:60] = 65_535
    file = tmp_path / "wide.png"
    file.write_bytes(saved(Image.fromarray(values), "PNG", transparency=24_000))
    pixels = np.asarray(shown.read(file))
    assert pixels[0, 0].tolist() == [255] * 3
    assert pixels[20, 20].tolist() == [0] * 3
    assert pixels[45, 20].tolist() == [255] * 3
