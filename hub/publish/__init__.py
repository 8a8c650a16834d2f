"""Data sets and checkpoints on the Hub: staged in a folder, sent so that a kill costs little, and read back."""
