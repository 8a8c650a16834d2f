"""A build on a file system that fills up: `python -m tests.support.full_disk MOUNT FOLDER STEP [INODES]`.

Run in a mount namespace of its own, with a small tmpfs at MOUNT. The room is let out in steps of STEP (bytes, or files
with INODES), and the same command is given at each, as somebody would who frees too little. Prints one JSON object.
"""

import json
import os
import sys
from pathlib import Path

from capcurriculum import cli, recipe
from tests.support import endpoint, worlds


class Ballast:
    """What fills a file system but for some room: one file of bytes, or many of none."""

    def __init__(self, mount: Path, step: int, *, inodes: bool) -> None:
        self.folder, self.step, self.inodes = mount / "ballast", step, inodes
        self.folder.mkdir()

    def fill(self) -> None:
        """Leave no room at all."""
        number = 0
        try:
            while True:
                path = self.folder / f"{number:06d}"
                path.write_bytes(b"" if self.inodes else b"x" * self.step)
                number += 1
        except OSError:
            if not self.inodes:
                path.unlink()

    def release(self) -> bool:
        """Let out one step; whether there was one."""
        held = sorted(self.folder.iterdir())
        for path in held[: self.step if self.inodes else 1]:
            path.unlink()
        return bool(held)


def build(file: Path, log: Path) -> int:
    """The exit code of a build in a process of its own; what it says is in `log`."""
    child = os.fork()
    if child == 0:
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, 1)
        os.dup2(target, 2)
        code = cli.main(["build", str(file)])
        sys.stdout.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def sets(stages: Path) -> dict[str, str]:
    """The bytes of the sets and the table of their rows; `order.json` also tells sizes of shards that replies fill."""
    found = sorted(path for path in stages.rglob("*.parquet"))
    return {path.relative_to(stages).as_posix(): path.read_bytes().hex() for path in found}


def main(mount: Path, folder: Path, step: int, *, inodes: bool) -> dict[str, object]:
    """Exit codes and last lines of the builds, and whether the last made what one makes that never failed."""
    worlds.docci(folder / "docci", 12)
    worlds.problems(folder / "text", 8)
    file, log = folder / "recipe.yaml", folder / "log"
    with endpoint.serving() as server:
        made = {}
        for runs in (folder / "runs", mount / "runs"):
            wanted = worlds.recipe_over(folder, server.url).model_copy(update={"runs": str(runs)})
            file.write_text(recipe.dump(wanted))
            ballast = Ballast(mount, step, inodes=inodes) if runs.parent == mount else None
            codes, said = [], []
            if ballast:
                ballast.fill()
            while True:
                codes.append(build(file, log))
                said.append(log.read_text())
                if codes[-1] == 0 or ballast is None or not ballast.release():
                    break
            made[runs] = sets(wanted.run_dir / "stages")
        left = [path.name for path in wanted.run_dir.rglob(".tmp*")]
        code = build(file, log)
        verified = cli.main(["verify", str(wanted.run_dir)])
    same = made[folder / "runs"] == made[mount / "runs"] == sets(wanted.run_dir / "stages")
    return {"codes": codes, "said": said, "same": same, "left": left, "again": code, "verified": verified}


if __name__ == "__main__":
    told = main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), inodes=sys.argv[4:] == ["INODES"])
    print(json.dumps(told))
