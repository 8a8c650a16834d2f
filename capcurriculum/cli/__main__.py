"""`python -m capcurriculum.cli`: the command line without its entry point on the path."""

from capcurriculum.cli import main

raise SystemExit(main())
