"""The pixel canary: whether the trainer and the rollout engine see the same pictures.

Before the first step of an attempt and with every checkpoint a few rows of the stage are scored by both: the
log-probabilities of a fixed reply, given each of these rows' pictures, a blank one, and no picture at all (`probes`).
They go the way of all rows, nothing of verl's is imitated: the stage's data set, an agent loop in which only the
sampling is replaced (`loop`), the rollout server's own prompt, the transfer queue, and the actor's log-probability
worker (`look`). What the numbers mean is decided in one place (`rule`).

It sees a picture that is dropped, exchanged with another row's, one row off, or shown with other pixels, from where the
data set hands out a message on, on either side. It does not see what both sides get wrong alike (the wrong picture
stored with a row; a resizing in the data set), a fault of the optimizer's pass alone, which shares the engine and its
inputs with the pass that is looked at, one of the reference model, one that needs more sequences in a pass than a few
dozen, and anything that moves the reply's log-probabilities less than the rule's tolerance.
"""
