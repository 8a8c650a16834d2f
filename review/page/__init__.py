"""A review without a server: one HTML file that is opened from the disk, and the JSON lines that come back from it."""
