"""`python -m eslab.cluster`: the same commands as `eslab cluster`."""

import sys

from eslab.cluster.cli import app
from eslab.errors import EslabError

if __name__ == "__main__":
    try:
        app()
    except EslabError as error:
        sys.exit(str(error))
