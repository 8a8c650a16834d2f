"""One reader for each supported data set."""
