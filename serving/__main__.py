"""`python -m serving`: the server without the rest of kedge."""

from serving.command_line import main

main()
