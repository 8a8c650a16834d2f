"""The pixel canary: whether trainer and rollout engine see the same images.

Before the first step of an attempt and with every checkpoint, both score a fixed reply to a few rows of the stage: its
log-probabilities given each of these rows' images, a blank image, and no image (`probes`). Nothing of verl is imitated:
the probes pass through the stage's dataset, an agent loop of which only the sampling is replaced (`loop`), the rollout
server, the transfer queue and the actor's log-probability worker (`hook`). `rule` interprets the numbers.

It detects, on either side and from the dataset's messages on, images that are dropped, exchanged between rows, shifted
by one row, or shown with other pixels. It does not detect what both sides get wrong alike (a wrong image stored with a
row, a resize in the dataset), a fault of the update alone (which shares engine and inputs with the log-probability
pass), one of the reference model, one that needs more sequences per pass than a few dozen, or anything that changes the
reply's log-probabilities by less than the tolerance.
"""
