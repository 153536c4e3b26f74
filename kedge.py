"""The command `kedge`."""


def main() -> None:
    """Run the command line."""
