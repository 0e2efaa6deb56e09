"""`python -m vitreid`: the `vitreid` command."""

from vitreid.cli import main

main()
