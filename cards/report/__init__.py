"""`capcurriculum report`: one HTML page on a run, with every question and its outcome.

The page needs no network and no server. Its numbers are queries over the run's tables, its charts are inline SVG, and
captions, questions and replies are embedded as data that the page's script shows as text.
"""
