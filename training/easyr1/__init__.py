"""The same training for EasyR1, the engine of the paper's release: files for its command, which is not run here.

Pinned to commit b44b311 (30 July 2026), which includes the fix of a GPU memory leak in vLLM's image cache (07cae10) and
keeps the generation configuration when shards are merged. The release's scripts set `worker.reward.reward_type`, which
b637de8 (16 November 2025) removed, so they need an earlier commit.
"""

COMMIT = "b44b311"
