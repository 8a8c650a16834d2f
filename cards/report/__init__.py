"""`capcurriculum report`: one page on a run, with every question and what became of it.

The page needs no network and no server. Its numbers are queries over the run's tables, its charts are SVG written here,
and captions, questions and replies reach it as data only, which the page's script shows as text.
"""
