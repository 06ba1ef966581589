"""``python -m sessionstore`` is the command line."""

from sessionstore.cli import main

if __name__ == "__main__":
    main()
