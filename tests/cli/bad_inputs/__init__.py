"""The corpus of bad inputs: one line each of what must come out.

A module of this folder holds the cases of one kind in `CASES`. A case makes a small world in an empty folder, gives a
command to it, and says what the command must print and with what it must end. `tests/cli/test_bad_inputs.py` tries all;
`python -m benchmarks bad_inputs_tried bad_input_tracebacks bad_input_silent bad_input_hangs` counts them.
"""
