"""`python -m training.audit`."""

from .checks import main

if __name__ == "__main__":
    raise SystemExit(main())
