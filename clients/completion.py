"""The command `kedge completion`: what a shell needs to complete kedge's commands, options and models."""

import click
from click.shell_completion import get_completion_class

VARIABLE = "_KEDGE_COMPLETE"
"""Where click looks for a shell's question, by the program's name."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
      bash   kedge completion bash >> ~/.bashrc
      zsh    kedge completion zsh >> ~/.zshrc
      fish   kedge completion fish > ~/.config/fish/completions/kedge.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(found(ctx.find_root().command, {}, "kedge", VARIABLE).source())
