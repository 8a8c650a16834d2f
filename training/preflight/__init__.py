"""The preflight: all faults of a training that can be found without a GPU, reported at once before it starts.

`inspection` runs the checks and keeps the report; each other module is one kind of check. No row is changed without a
record, and nothing imports torch into the calling process.
"""
