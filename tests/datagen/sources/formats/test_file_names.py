"""Names of pictures as other systems spell them, where one file alone is meant."""

import unicodedata
from pathlib import Path

import pytest

from datagen.image_decoding import ImageProblem
from datagen.sources.formats import file_names
from tests.support import source_data as data

NFC, NFD = (unicodedata.normalize(form, "café.png") for form in ("NFC", "NFD"))
PAIRS = [
    (NFD, NFC),
    (NFC, NFD),
    ("sub/a.png", "sub\\a.png"),
    ("a b.png", "a%20b.png"),
    ("caf\u00e9 1.png", "cafe%CC%81%201.png"),
    ("Photo.JPG", "photo.jpg"),
    ("Sub/Photo.jpg", "/sub\\Photo.JPG"),
    ("a%20b.png", "a%20b.png"),
    ("a.png", "./a.png"),
]


PAIRED = [NFC, "sub\\a.png", "b%20c.png"]


@pytest.mark.parametrize(("there", "said"), PAIRS)
def test_one_file_that_fits_is_meant(tmp_path: Path, there: str, said: str) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_bytes(b"it")
    path, name = file_names.inside(tmp_path, said)
    assert path.read_bytes() == b"it"
    assert (tmp_path / name).resolve() == path


def test_the_name_itself_comes_first_and_two_spellings_are_no_guess(tmp_path: Path) -> None:
    for name in ("a.png", "A.png", "a b.png", "a%20b.png"):
        (tmp_path / name).write_bytes(name.encode())
    for name in ("a.png", "A.png", "a b.png", "a%20b.png"):
        assert file_names.inside(tmp_path, name)[1] == name
    with pytest.raises(ImageProblem, match=r"several are spelled like it: 'A.PNG', 'a.png'|'A.png', 'a.png'") as caught:
        file_names.inside(tmp_path, "A.PNG")
    assert caught.value.reason == "missing_file"


@pytest.mark.parametrize(
    "name", ["..\\secret.png", "%2e%2e/secret.png", "..%2fsecret.png", "../secret.png", "SECRET.png"]
)
def test_no_spelling_leads_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "in/secret.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(ImageProblem):
        file_names.inside(tmp_path / "in", name)


@pytest.mark.parametrize("packed", [True, False], ids=["archive", "folder"])
def test_rows_find_their_pictures_in_folders_and_archives(tmp_path: Path, packed: bool) -> None:
    there = {NFD: data.picture(1), "sub/a.png": data.picture(2), "b c.png": data.picture(3)}
    rows = [{"problem": f"What is it {n}?", "answer": "4", "image": name} for n, name in enumerate(PAIRED)]
    data.write_lines(tmp_path / "p/rows.jsonl", rows)
    if packed:
        data.zipped(tmp_path / "p/pictures.zip", there)
    for name, content in {} if packed else there.items():
        (tmp_path / "p/pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p/pictures" / name).write_bytes(content)
    columns = {"problem": "problem", "answer": "answer", "image": "image"}
    images = "pictures.zip" if packed else "pictures"
    section = data.section("problems", tmp_path / "p", files=["rows.jsonl"], images=images, columns=columns, source="s")
    found = data.read(section, tmp_path / "run")
    assert data.reasons(found) == []
    assert len({row.image_id for row in data.questions(found)}) == 3
