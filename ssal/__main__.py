"""`python -m ssal` is the `ssal` command, for a checkout that is not installed."""

from ssal.cli import main

if __name__ == "__main__":
    main()
