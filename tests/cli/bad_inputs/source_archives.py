"""Archives of pictures: cut, damaged, lying about their sizes, unpacking to far more than they are."""

import gzip
import io
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.cli.bad_inputs.building import CAPTIONS, build
from tests.cli.bad_inputs.corpus import Case
from tests.support import source_data as data

_PICTURE = data.picture(1, kind="JPEG")
_OVER = "download it again"
_BOUND = "if it is in order, raise ratio, members or unpacked_bytes"
_WHATEVER = "download it again|unreadable_image|missing_file"
_MODES = {"tar": "w", "tar.gz": "w:gz", "tgz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}


def _whole(ending: str) -> bytes:
    """A sound archive of ten pictures, the one that the row names last."""
    names = [*(f"images/{number}.jpg" for number in range(9)), "images/a.jpg"]
    kept = io.BytesIO()
    if ending == "zip":
        with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name in names:
                bundle.writestr(name, _PICTURE)
        return kept.getvalue()
    with tarfile.open(fileobj=kept, mode=_MODES[ending]) as bundle:  # type: ignore[call-overload]
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(_PICTURE)
            bundle.addfile(info, io.BytesIO(_PICTURE))
    return kept.getvalue()


def _case(name: str, ending: str, content: Callable[[], bytes], says: str) -> Case:
    def make(folder: Path) -> list[str]:
        Path("data").mkdir()
        Path(f"data/pictures.{ending}").write_bytes(content())
        data.write_lines(Path("data/rows.jsonl"), [{"id": "1", "image": "images/a.jpg", "caption": "A square."}])
        return build(**CAPTIONS, images=f"pictures.{ending}", files=["rows.jsonl"])

    return Case(f"{name} {ending}", make, says)


def _flipped(ending: str, seed: int) -> bytes:
    """A sound archive with the bytes of its last third overwritten, where the wanted picture is."""
    found, drawn = bytearray(_whole(ending)), random.Random(seed)
    for place in drawn.sample(range(2 * len(found) // 3, len(found)), len(found) // 12):
        found[place] ^= 1 + drawn.randrange(255)
    return bytes(found)


def _damaged(ending: str) -> Iterator[Case]:
    for share in (0.03, 0.3, 0.6) if ending == "tar" else (0.03, 0.3, 0.6, 0.9):
        yield _case(
            f"cut at {share:.0%}",
            ending,
            lambda share=share: _whole(ending)[: int(share * len(_whole(ending)))],
            _WHATEVER if ending == "tar" else _OVER,
        )
    for seed in range(2):
        yield _case(f"damaged {seed}", ending, lambda seed=seed: _flipped(ending, seed), _WHATEVER)
    yield _case("empty", ending, lambda: b"", _OVER)
    yield _case("a web page as", ending, lambda: b"<!doctype html><p>Sign in to go on</p>" * 40, _OVER)


def _packed(*blocks: bytes, times: int = 1) -> bytes:
    kept = io.BytesIO()
    with gzip.open(kept, "wb", 9) as handle:
        for _ in range(times):
            for block in blocks:
                handle.write(block)
    return kept.getvalue()


def _header(name: str = "images/b.jpg", size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def _named(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w:gz") as bundle:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        info.size = len(_PICTURE) if kind == tarfile.REGTYPE else 0
        bundle.addfile(info, io.BytesIO(_PICTURE) if info.size else None)
    return kept.getvalue()


def _zip(change: Callable[[zipfile.ZipInfo], None], content: bytes = _PICTURE) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("images/a.jpg", content)
        change(bundle.infolist()[0])
    return kept.getvalue()


def _set(**values: int) -> Callable[[zipfile.ZipInfo], None]:
    def change(info: zipfile.ZipInfo) -> None:
        for name, value in values.items():
            setattr(info, name, value)

    return change


CASES = [
    *(case for ending in (*_MODES, "zip") for case in _damaged(ending)),
    _case("200,000 empty members in", "tar.gz", lambda: _packed(_header() * 1000, times=200), _BOUND),
    _case("zeros that unpack to 300 MB in", "tar.gz", lambda: _packed(_header(size=3 * 10**8), bytes(10**8)), _BOUND),
    _case("zeros that unpack to 300 MB in", "tgz", lambda: _packed(_header(size=3 * 10**8), bytes(10**8)), _BOUND),
    _case("a chain of 5,000 extended headers in", "tar.gz",
          lambda: _packed(_header("x", 0, tarfile.XHDTYPE) * 5000), _OVER),
    _case("a chain of 5,000 long names in", "tar.gz",
          lambda: _packed(_header("x", 0, tarfile.GNUTYPE_LONGNAME) * 5000), _OVER),
    *(_case(f"a header of 5 GB ({kind!r}) in", "tar.gz",
            lambda kind=kind: _packed(_header("x", 5 * 10**9, kind), bytes(10**6)), _OVER)
      for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)),
    _case("a negative size in", "tar.gz", lambda: _packed(_header(size=-1024), bytes(2048)), _OVER),
    _case("a member of 5 TB in", "tar.gz", lambda: _packed(_header("images/a.jpg", 5 * 10**12), bytes(2048)), _WHATEVER
          + "|image_too_large"),
    _case("a name that leads out in", "tar.gz", lambda: _named("../images/a.jpg"), "missing_file"),
    _case("an absolute name in", "tar.gz", lambda: _named("/images/a.jpg"), "missing_file"),
    _case("a link in", "tar.gz", lambda: _named("images/a.jpg", tarfile.SYMTYPE, "/etc/passwd"), "missing_file"),
    _case("a device in", "tar.gz", lambda: _named("images/a.jpg", tarfile.CHRTYPE), "missing_file"),
    _case("a member of 300 MB of zeros in", "zip", lambda: _zip(_set(), bytes(3 * 10**8)), _BOUND),
    _case("a claim of 4 GB in", "zip", lambda: _zip(_set(file_size=4 * 10**9)), _BOUND),
    _case("an encrypted member in", "zip", lambda: _zip(_set(flag_bits=1)), "unreadable_image"),
    _case("an unknown compression in", "zip", lambda: _zip(_set(compress_type=97)), "unreadable_image"),
    _case("a version of 12.8 in", "zip", lambda: _zip(_set(extract_version=128)), _OVER + "|unreadable_image"),
    _case("a member before the file's start in", "zip", lambda: _zip(_set(header_offset=2**31)), "unreadable_image"),
    _case("a wrong sum in", "zip", lambda: _zip(_set(CRC=1)), "unreadable_image"),
]  # fmt: skip
