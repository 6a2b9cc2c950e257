"""`python -m meeum`: the command line, where `meeum` is not on the path."""

from meeum.cli import main

if __name__ == "__main__":
    main()
