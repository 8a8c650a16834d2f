"""File formats of rows, read as streams within limits."""
