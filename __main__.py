"""`python -m covoguard` is the command `covoguard`."""

from .cli.main import main

main()
