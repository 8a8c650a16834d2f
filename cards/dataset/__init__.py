"""The card of a data set, counted in the files of the set."""
