"""The application that spark-submit is given, which knows files and not `python -m tapeline_spark`."""

import sys

from tapeline_spark.__main__ import main

if __name__ == "__main__":
    sys.exit(main(submitted=True))
