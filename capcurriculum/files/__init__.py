"""Files that bear checksums, and JSON read within limits."""
