"""`python -m eslab` is the `eslab` command."""

from eslab.cli import app

app()
