"""The asking of a build on Ray: workers with an engine each, which write the run's tables themselves.

The driver finds out who still needs something and sends nothing but keys (`crew`), Ray Data schedules them in small
blocks and gives a dead worker's blocks out again (`schedule`), and a worker feeds what it is given to the same loop
that an undistributed build runs (`worker`, `desk`, `feed`, `duties`). `cluster` starts or joins Ray.
"""
