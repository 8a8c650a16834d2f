"""The same training for EasyR1, the engine of the paper's release: files for its own command, which is not run here.

Pinned to commit b44b311 (30 July 2026), which mends a leak of GPU memory in vLLM's cache of pictures (07cae10) and
keeps the generation configuration when shards are merged. The release's own scripts set `worker.reward.reward_type`,
which is gone since b637de8 (16 November 2025), so they need an earlier one.
"""

COMMIT = "b44b311"
