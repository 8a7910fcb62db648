"""`b2jobs completion`: the script that teaches a shell our commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
      bash:  eval "$(b2jobs completion bash)"          in ~/.bashrc
      zsh:   eval "$(b2jobs completion zsh)"           in ~/.zshrc
      fish:  b2jobs completion fish | source           in ~/.config/fish/config.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(ctx.find_root().command, {}, "b2jobs", "_B2JOBS_COMPLETE").source())
