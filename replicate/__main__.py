"""`python -m replicate`: the same as the command `replicate`."""

from replicate.commands.main import main

main()
