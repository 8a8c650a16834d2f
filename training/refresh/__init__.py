"""Pass rates measured anew between stages (`training.refresh`), so that the curriculum follows the model.

`wanted` says before which stages it happens. `step` does it for one: `rows` turns the rows that the trainer would read
into questions, `workers` starts processes (`asking`) in which the checkpoint that the stage starts from answers them,
`judge` counts the run's answers and appends a verdict on each row, and `files` writes the rows inside the band, in the
order of the new pass rates, below the stage's folder. `task` says what all of these need to know.

Answers are rows of the run's table under a purpose of their own and under a name that holds the checkpoint's digest and
a digest of how it was asked, so nothing that is made of a run reads them, and an interrupted refresh asks what is
missing. The set's own files stay as they are. The record of the files names what they were made from: the next start
finds them, and a checkpoint, a set or a band that has changed makes them anew. The plan binds a begun stage to their
digest.
"""
