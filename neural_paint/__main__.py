"""`python -m neural_paint` is the command line."""

import sys

from neural_paint.cli import main

if __name__ == "__main__":
    sys.exit(main())
