"""Find the image that a record holds or names: a checked image, and a path that can be opened later.

A row may embed its image, or name a file that lies in a plain folder or in an archive. Plain files stay where they are;
embedded ones and members of archives are kept in the run. Archives are read once, front to back, for all rows together.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Self

from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.rows import digest
from datagen import image_decoding, shown
from datagen.image_decoding import ImageProblem
from datagen.sources.formats import archives, file_names
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.formats.records import find_files
from datagen.sources.images import embedded
from datagen.sources.images.embedded import is_embedded
from datagen.sources.images.image_paths import Place
from datagen.sources.images.store import Index, Store, Stored


@dataclass(slots=True)
class SourceImages:
    """Where the images of one source are.

    `folders` are looked in first, in order; each comes with what recorded paths of its files begin with. `bundles` are
    archives.
    """

    section: SourceSection
    store: Store
    folders: Sequence[tuple[Path, str]] = ()
    bundles: Sequence[Path] = ()
    index: Index = field(init=False)

    def __post_init__(self) -> None:
        upstream = [self.section.kind, self.section.repo, self.section.revision, self.section.name]
        self.index = Index(self.store.run, digest(*upstream, sorted(bundle.name for bundle in self.bundles)))

    @classmethod
    def packed(
        cls, section: SourceSection, place: Place, base: Path, archive: str, below: Sequence[str] = ("images", "")
    ) -> Self:
        """Images in `archive` in the folder `base`, or in a folder `images` there that was unpacked from it.

        Names in rows are relative to the first of the folders `below` it that has the file.

        Raises:
            SourceError: neither is there.
        """
        if (base / "images").is_dir():
            return cls(section, place.store, [(base / name, place.inside(base / name)) for name in below])
        return cls(section, place.store, (), find_files(base, (archive,), "its images, or a folder images"))

    def find(self, value: object) -> Stored:
        """The image a row's column holds or names.

        Raises:
            ImageProblem: it is missing or not usable.
            LineProblem: the column holds no single image.
        """
        match value:
            case [single]:
                return self.find(single)
            case {"bytes": bytes() as data} | (bytes() as data):
                return self._put(data)
            case {"bytes": str() as text} if text:
                return self._put(embedded.data(text, self.section.max_bytes))
            case {"path": str() as name} | {"url": str() as name} | (str() as name):
                return (
                    self._put(embedded.data(name, self.section.max_bytes)) if is_embedded(name) else self._named(name)
                )
            case list() | tuple() if value:
                raise LineProblem(Reason.SEVERAL_IMAGES, f"the row has {len(value)} images, and one is wanted")
            case _:
                raise LineProblem(Reason.MISSING_FIELD, "the row has no image")

    def _put(self, data: bytes) -> Stored:
        return self.store.put(data, self.section.max_pixels, self.section.max_bytes)

    def _named(self, name: str) -> Stored:
        if name.startswith(("http://", "https://")):
            detail = f"the row names the address {name[:100]!r}; download its images and give their names"
            raise ImageProblem(Reason.MISSING_FILE, detail)
        for folder, prefix in self.folders:
            if (found := _plain(folder, name)) is not None:
                path, spelled = found
                data = image_decoding.file_bytes(path, self.section.max_bytes)
                return Stored(shown.image_id(shown.checked(data, self.section.max_pixels)), f"{prefix}{spelled}")
        if self.bundles:
            return self.index.get(name)
        if not self.folders:
            raise ImageProblem(Reason.MISSING_FILE, f"the row names {name!r}, and the source has no images")
        folder, _ = self.folders[0]
        file_names.inside(folder, name)
        raise ImageProblem(Reason.MISSING_FILE, f"there is no file {name!r} in the image folder")

    def prepare(self, names: Iterable[str]) -> None:
        """Read the archives, if there are any, for those of `names` that neither a folder nor an earlier session has.

        Raises:
            SourceError: an archive cannot be read.
        """
        if not self.bundles:
            return
        wanted = {name for name in names if name not in self.index.entries and not self._lies_plain(name)}
        if not wanted:
            return
        with self.index as index:
            alike = defaultdict[str, dict[str, Stored | ImageProblem]](dict)
            for bundle in self.bundles:
                self._scan(bundle, wanted, index, alike)
            bundles = ", ".join(bundle.name for bundle in self.bundles)
            for name in sorted(wanted - index.entries.keys()):
                index.add(name, _only(name, alike[name], bundles))

    def _lies_plain(self, name: str) -> bool:
        """Also true of a name that leads out of a folder: it is refused when its row is read."""
        try:
            return any(_plain(folder, name) is not None for folder, _ in self.folders)
        except ImageProblem:
            return True

    def _scan(
        self, bundle: Path, wanted: set[str], index: Index, alike: Mapping[str, dict[str, Stored | ImageProblem]]
    ) -> None:
        """Keep what `bundle` has of `wanted`; a name that two different members fit becomes no image.

        Members that fit a name but for capitals come into `alike`.
        """
        names = _by_last_part(wanted)
        for member in archives.members(bundle, self.section.limits):
            near = names.get(file_names.spelled(str(member.name), cased=False)[-1], ())
            exact = _fitting(member.name, near, cased=True)
            loose = [name for name in _fitting(member.name, near, cased=False) if name not in exact]
            if not exact and not loose:
                continue
            found = self._kept(member)
            for name in (*exact, *loose):
                before = index.entries.get(name)
                if name not in exact:
                    alike[name][f"{bundle.name}/{member.name}"] = found
                elif before is None:
                    index.add(name, found)
                elif isinstance(before, Stored) and isinstance(found, Stored) and before.image_id != found.image_id:
                    index.add(name, ImageProblem(Reason.MISSING_FILE, f"{bundle.name} has several files {name!r}"))

    def _kept(self, member: archives.Member) -> Stored | ImageProblem:
        """The member as it is kept, or why not; it can be read once."""
        try:
            return self._put(member.read(self.section.max_bytes))
        except ImageProblem as problem:
            return problem


def _plain(folder: Path, name: str) -> tuple[Path, str] | None:
    """The file that a name means in a folder, and its own name there; None for none. Refuses a name that leads out."""
    try:
        return file_names.inside(folder, name)
    except ImageProblem as problem:
        if problem.reason is Reason.PATH_ESCAPES:
            raise
        return None


def _only(name: str, alike: Mapping[str, Stored | ImageProblem], bundles: str) -> Stored | ImageProblem:
    """The one member that is spelled like a name but for capitals; else why there is none."""
    if len(alike) == 1:
        return next(iter(alike.values()))
    several = f", and several are spelled like it: {', '.join(sorted(alike)[:3])}" if alike else ""
    return ImageProblem(Reason.MISSING_FILE, f"there is no file {name[:100]!r} in {bundles}{several}")


def _by_last_part(names: Iterable[str]) -> Mapping[str, list[str]]:
    """Names by their last part in small letters."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        parts = file_names.spelled(name, cased=False)
        found[parts[-1] if parts else ""].append(name)
    return found


def _fitting(member: PurePosixPath, names: Sequence[str], *, cased: bool) -> list[str]:
    """Of `names`, all with the member's last part, those that mean this member.

    Archives differ in how many folders they put around their files, so a name fits if one of the two is the end of the
    other. A member shorter than the names fits only a single one: of two it would be a guess.
    """
    inside = file_names.spelled(str(member), cased=cased)
    spelled = {name: file_names.spelled(name, cased=cased) for name in names}
    longer = [name for name, parts in spelled.items() if inside[-len(parts) :] == parts]
    shorter = [name for name, parts in spelled.items() if name not in longer and parts[-len(inside) :] == inside]
    return longer + (shorter if len(shorter) == 1 and not longer else [])
