#!/usr/bin/env bash
# gpu_check.sh [VENV] [OPTIONS]: on one GPU, in about ten minutes and without a network, tries what no CPU can: the GPU
# install's libraries, flash attention, vLLM's rollouts, and verl's GRPO without padding, with passes filled up to a budget,
# fused kernels and frozen weights. All weights are made here. Prints a table; exits 0, or 1 with what failed.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then venv=$1; shift; fi
exec "$venv/bin/python" -m tools.gpu_check "$@"
