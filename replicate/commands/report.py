import shutil
from typing import get_args

import click

from replicate.commands.options import open_profile
from replicate.errors import UserError
from replicate.evidence.results import VERDICTS
from replicate.paper.claims import Status2012
from replicate.report import tables, writers


@click.command()
@click.option("--table", "table_name", metavar="NAME", help="Print this table instead of building the page.")
@click.option("--network", "network_name", metavar="NAME", help="The network that a table is of.  [default: paper]")
@click.option(
    "--status", type=click.Choice([*VERDICTS, *get_args(Status2012)]), metavar="WORDS",
    help="Only claims with this verdict ('paper is off'), or of which this is known of 2012 ('code differs').",
)  # fmt: skip
@click.option("--section", metavar="NUMBER", help="Only claims of this section and its parts: 3, 3.3, abstract, 'fig. 2'.")
@click.option("--profile", "profile_name", metavar="NAME", help="The pipeline that a table or the page is of.  [default: demo]")
@click.option("--format", "format_name", type=click.Choice(list(writers.WRITERS)), help="How to print it.  [default: text]")
@click.option("--list", "list_tables", is_flag=True, help="Print which tables there are.")
def command(
    table_name: str | None, network_name: str | None, status: str | None, section: str | None, profile_name: str | None,
    format_name: str | None, list_tables: bool,
) -> None:  # fmt: skip
    """Print a table, or build the report of a profile.

    Without --table it writes reports/PROFILE/: report.html, its Markdown twin README.md, tables/ and figures/.

    CSV begins with caption and note as comment lines; read it with pandas.read_csv(file, comment="#"). LaTeX needs
    the package booktabs.
    """
    if list_tables or table_name:
        if profile_name is not None and table_name in tables.TABLES and tables.TABLES[table_name].needs != "profile":
            raise UserError(f"table {table_name!r} is not of one profile; leave out --profile")
        chosen = {key: value for key, value in (("status", status), ("section", section)) if value is not None}
        table = tables.listing() if list_tables else tables.build(table_name or "", network_name, profile_name, **chosen)
        write = writers.WRITERS[format_name or "text"]
        width = shutil.get_terminal_size((110, 24)).columns
        text = writers.text(table, max(width, 60)) if write is writers.text else write(table)
        click.echo(text, nl=False)
        return
    for option, given in {"--network": network_name, "--format": format_name, "--status": status, "--section": section}.items():
        if given:
            raise UserError(f"{option} goes with --table NAME; see `replicate report --list`")
    from replicate.report.page import build

    profile = open_profile(profile_name or "demo")
    click.echo(f"Report: {build(profile).relative_to(profile.root)}")
