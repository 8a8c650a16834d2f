"""Git LFS pointers: three lines of text that lie where a file should be after a clone without its large files."""

POINTER = b"version https://git-lfs.github.com/spec/v1"
MEND = "fetch it with `git lfs pull` in its repository"
