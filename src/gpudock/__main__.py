"""`python -m gpudock`."""

from gpudock.cli.main import main

main()
