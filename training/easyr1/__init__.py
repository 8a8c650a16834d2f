"""The same training for EasyR1, the engine of the paper's release: files for its own command, which is not run here.

Pinned to commit d146d24 (3 November 2025), the last before its reward managers and their settings were rewritten, and
after its mend for Qwen3-VL on rows with and without images (b2e3ffb); the release's scripts only fit that window.
"""

COMMIT = "d146d24"
