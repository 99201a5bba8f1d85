"""`python -m seedstability`, the same as the command `seedstability`."""

import sys

from seedstability.cli import main

if __name__ == "__main__":
    sys.exit(main())
