"""Checks of the machine: libraries, GPUs, memory, disk and weights."""
