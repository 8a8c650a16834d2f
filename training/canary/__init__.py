"""The pixel canary: whether trainer and rollout engine see the same images.

Before the first step of an attempt and with every checkpoint, both score a fixed reply to a few rows of the stage: its
log-probabilities given each of these rows' images, a blank image, and no image (`probes`). The probes take the way of
all rows through verl, except that an agent loop does not sample (`loop`, `hook`); `rule` interprets the numbers, and
docs/training.md lists what the canary does not detect.
"""
