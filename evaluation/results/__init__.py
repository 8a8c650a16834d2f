"""What was measured of models: evaluation folders, their samples, and comparisons."""
