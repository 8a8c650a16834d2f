"""Multiple-choice options and answer keys as data sets write them."""
