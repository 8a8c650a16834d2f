"""The filter that looks at pictures: what cannot be shown, and what shows nothing."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from capcurriculum.rows import Question, Verdict
from capcurriculum.run import Run
from datagen import image_decoding
from datagen.setting import Setting
from filters.base import Judge
from filters.rules.readable import ReadableSection, contrast
from tests.curricula.test_build import worst_docci
from tests.filters.rules.test_text import question
from tests.support import odd_images, worlds
from tests.support.worlds import docci


def judging(section: ReadableSection, folder: Path) -> Judge:
    wanted = worlds.recipe_over(folder, "http://127.0.0.1:1/v1")
    return section.judging(Setting(Run(folder), wanted, {"perception": folder}))


def verdict_on(asked: Question, folder: Path, section: ReadableSection) -> Verdict:
    return judging(section, folder)(asked, ())


def test_images_that_cannot_be_shown_are_dropped_and_bombs_are_not_decoded(tmp_path: Path) -> None:
    folder = docci(tmp_path / "docci", 2)
    worst_docci(folder)
    drawing("white", "black", size=(900, 40)).save(folder / "images" / "band.png")
    Image.new("RGB", (20, 40)).save(folder / "images" / "small.png")

    def reason(name: str, **limits: object) -> str:
        verdict = verdict_on(question(path=name), folder, ReadableSection.model_validate(limits))
        assert verdict.keep == (verdict.reason == "kept")
        return verdict.reason

    assert reason("images/train_00000.png") == reason("") == "kept"
    assert reason("images/train_00000.png", min_side=50) == "image_too_small"
    assert reason("images/train_00000.png", max_pixels=1000) == "image_too_large"
    assert reason("images/torn.png") == "unreadable_image"
    assert reason("images/bomb.png") == "image_too_large"
    assert reason("images/small.png") == "image_too_small"
    assert (reason("images/band.png"), reason("images/band.png", max_aspect=25)) == ("image_too_narrow", "kept")
    assert reason("images/absent.png") == "missing_file"
    assert reason("../docci/images/train_00000.png") == reason("/etc/hostname") == "path_escapes"


def test_a_link_to_a_folder_is_followed_and_a_link_out_of_it_is_not(tmp_path: Path) -> None:
    plain = docci(tmp_path / "plain", 1)
    (tmp_path / "secret.png").write_bytes((plain / "images" / "train_00000.png").read_bytes())
    (plain / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "run" / "places").mkdir(parents=True)
    (tmp_path / "run" / "places" / "perception-0").symlink_to(plain)
    names = ("train_00000.png", "link.png")
    paths = [question(path=f"places/perception-0/images/{name}") for name in names]
    found = [verdict_on(asked, tmp_path / "run", ReadableSection()).reason for asked in paths]
    assert found == ["kept", "path_escapes"]


def reason(folder: Path, data: bytes, **limits: object) -> str:
    (folder / "x").write_bytes(data)
    return verdict_on(question(path="x"), folder, ReadableSection.model_validate(limits)).reason


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def drawing(ground: object, ink: object, mode: str = "RGB", size: tuple[int, int] = (640, 480)) -> Image.Image:
    picture = Image.new(mode, size, ground)
    ImageDraw.Draw(picture).line((size[0] // 4, 5, size[0] // 2, size[1] // 2), fill=ink)
    return picture


@pytest.mark.parametrize("colour", ["white", "black", (200, 30, 90)])
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 60}), ("WEBP", {"quality": 75})])
def test_a_picture_of_one_colour_is_blank(tmp_path: Path, colour: object, kind: str, options: dict[str, int]) -> None:
    data = saved(Image.new("RGB", (333, 211), colour), kind, **options)
    assert reason(tmp_path, data) == "blank_picture"
    assert reason(tmp_path, data, min_contrast=0) == "kept"


def test_blank_is_what_practically_has_one_colour(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(8, 1, (240, 320, 3)).clip(0, 255).astype(np.uint8)
    assert reason(tmp_path, saved(Image.fromarray(noise))) == "blank_picture"
    dead = Image.new("RGB", (320, 240), "white")
    dead.putpixel((101, 53), (0, 0, 0))
    for data in (saved(dead), saved(dead, "JPEG", quality=90)):
        assert reason(tmp_path, data) == "blank_picture"
    faint = Image.new("RGB", (320, 240), (250, 250, 250))
    faint.paste((240, 240, 240), (20, 20, 120, 120))
    assert reason(tmp_path, saved(faint)) == "blank_picture"
    assert reason(tmp_path, saved(faint), min_contrast=10) == "kept"


@pytest.mark.parametrize("size", [(28, 28), (64, 64), (640, 480), (3000, 2000)])
def test_a_thin_line_is_something_to_see(tmp_path: Path, size: tuple[int, int]) -> None:
    for picture in (drawing("white", "black", size=size), drawing("black", "white", size=size)):
        assert reason(tmp_path, saved(picture)) == "kept"
        assert reason(tmp_path, saved(picture, "JPEG", quality=75)) == "kept"


def test_colours_of_one_lightness_are_something_to_see(tmp_path: Path) -> None:
    picture = Image.new("RGB", (64, 64), (120, 60, 60))
    picture.paste((60, 91, 60), (0, 0, 32, 64))
    assert len(set(picture.convert("L").tobytes())) == 1
    assert reason(tmp_path, saved(picture)) == "kept"


def test_blank_is_judged_as_the_picture_is_shown_that_is_on_white(tmp_path: Path) -> None:
    clear = (0, 0, 0, 0)
    assert reason(tmp_path, saved(drawing(clear, (0, 0, 0, 255), "RGBA"))) == "kept"
    assert reason(tmp_path, saved(drawing(clear, (255, 255, 255, 255), "RGBA"))) == "blank_picture"
    assert reason(tmp_path, saved(Image.new("RGBA", (64, 64), clear))) == "blank_picture"
    frames = {"save_all": True, "append_images": [drawing("white", "black")]}
    assert reason(tmp_path, saved(Image.new("RGB", (640, 480), "white"), "GIF", **frames)) == "blank_picture"
    wide = np.full((64, 64), 60_000, np.uint16)
    wide[:32] = 20_000
    assert reason(tmp_path, saved(Image.fromarray(wide))) == "kept"


def test_the_other_limits_come_first_and_the_detail_has_the_numbers(tmp_path: Path) -> None:
    assert reason(tmp_path, saved(Image.new("RGB", (900, 30)))) == "image_too_narrow"
    (tmp_path / "x").write_bytes(saved(Image.new("RGB", (64, 64), "white")))
    verdict = verdict_on(question(path="x"), tmp_path, ReadableSection())
    assert (verdict.keep, verdict.detail) == (
        False,
        "no colour channel spans 12 levels of 255 (the widest spans 0)",
    )
    assert contrast(drawing("white", (10, 255, 255))) == 245


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Truncated File Read")
@pytest.mark.parametrize("odd", odd_images.every(), ids=lambda odd: odd[0])
def test_no_kind_of_file_is_blank_that_shows_something_and_none_raises(tmp_path: Path, odd: odd_images.Odd) -> None:
    assert reason(tmp_path, odd[1]) == "kept"
    for cut in (0, 1, 20, len(odd[1]) // 3, len(odd[1]) - 40):
        reason(tmp_path, odd[1][:cut])
        reason(tmp_path, odd[1][:cut] + bytes(40) + odd[1][cut + 40 :])


def test_a_picture_is_decoded_once_however_many_questions_are_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(saved(drawing("white", "black")))
    opened: list[int] = []
    real = image_decoding.opened
    monkeypatch.setattr(image_decoding, "opened", lambda *a: opened.append(1) or real(*a))
    judge = judging(ReadableSection(), tmp_path)
    assert [judge(question(text, path="x"), ()).keep for text in ("What?", "Where?", "Who?")] == [True] * 3
    assert len(opened) == 1


def test_names_that_no_file_can_have_are_missing_files(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    names = ["a\0b", "a\0/b.png", "x" * 400, "\udcff", ".", "loop", "loop/b.png", "x/" * 3000 + "b"]

    def judged(name: str) -> str:
        asked: Question = question(path=name)
        return verdict_on(asked, tmp_path, ReadableSection()).reason

    assert {judged(name) for name in names} == {"missing_file"}
