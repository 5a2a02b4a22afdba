"""`python -m service.cli`, for where the script is not on the path."""

from service.cli.program import main

main()
