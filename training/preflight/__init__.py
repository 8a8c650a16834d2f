"""Everything about a training that can be found wrong without a GPU, found at once and before one is taken.

`inspection` runs the checks and keeps the report; each other module is one kind of check. Nothing here changes a row
without a record of it, and nothing imports torch into the calling process.
"""
