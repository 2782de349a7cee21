import shutil

import click

from replicate.commands.options import open_profile, profile_option
from replicate.errors import UserError
from replicate.report import tables, writers


@click.command()
@click.option("--table", "table_name", metavar="NAME", help="Print this table instead of building the page.")
@click.option("--network", "network_name", metavar="NAME", help="The network that a table is of.  [default: paper]")
@profile_option
@click.option("--format", "format_name", type=click.Choice(list(writers.WRITERS)), help="How to print it.  [default: text]")
@click.option("--list", "list_tables", is_flag=True, help="Print which tables there are.")
def command(
    table_name: str | None, network_name: str | None, profile_name: str, format_name: str | None, list_tables: bool
) -> None:
    """Print a table, or build the report of a profile.

    Without --table it writes reports/PROFILE/: report.html, its Markdown twin README.md, tables/ and figures/.

    CSV begins with caption and note as comment lines; read it with pandas.read_csv(file, comment="#"). LaTeX needs
    the package booktabs.
    """
    if list_tables or table_name:
        table = tables.listing() if list_tables else tables.build(table_name or "", network_name, profile_name)
        write = writers.WRITERS[format_name or "text"]
        width = shutil.get_terminal_size((110, 24)).columns
        text = writers.text(table, max(width, 60)) if write is writers.text else write(table)
        click.echo(text, nl=False)
        return
    if network_name or format_name:
        raise UserError(f"{'--network' if network_name else '--format'} goes with --table NAME; see `replicate report --list`")
    from replicate.report.page import build

    profile = open_profile(profile_name)
    click.echo(f"Report: {build(profile).relative_to(profile.root)}")
