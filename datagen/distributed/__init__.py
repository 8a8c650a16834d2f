"""The asking of a build on Ray: workers with an engine each, which write the run's tables themselves.

The driver finds out which rows are missing and sends their keys alone (`driver`), Ray Data schedules them in small
blocks and reassigns those of a dead worker (`ray_data`), and a worker runs the same loop as an undistributed build on
them (`worker`, `engine_thread`, `block_queue`, `steps`). `cluster` starts or joins Ray.
"""
