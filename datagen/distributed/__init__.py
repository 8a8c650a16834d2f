"""The asking of a build on Ray: workers with an engine each, which write the run's tables themselves.

The driver finds out which rows are missing and sends their keys alone in small blocks, which Ray Data schedules and
reassigns when a worker dies (`driver`); a worker runs the same loop as an undistributed build on them (`worker`,
`engine_thread`, `block_queue`, `steps`). `cluster` starts or joins Ray.
"""
