"""A sample of cases as one HTML file that is opened from disk, and the JSON lines that it saves."""
