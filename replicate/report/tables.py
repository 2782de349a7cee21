"""Every table by name: what builds it, what it shows, what it needs. A builder's module is imported when it is asked for."""

from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from replicate import networks, settings
from replicate.errors import UserError, unknown
from replicate.report.table import Column, Table
from replicate.settings import Profile


@dataclass(frozen=True)
class Entry:
    """`module` holds a function named after the table (`_` for `-`), which takes what `needs` says."""

    module: str
    about: str
    needs: Literal["network", "profile", "nothing"]


TABLES = {
    "params": Entry("tables_networks", "Weights and biases of a network, layer by layer", "network"),
    "flops": Entry("tables_networks", "Multiply-accumulates of a network, layer by layer", "network"),
    "shapes": Entry("tables_networks", "Kernels, strides, padding and map sizes of a network", "network"),
    "memory": Entry("tables_memory", "Memory of a training step of a network, beside the paper's card", "network"),
    "towers": Entry("tables_towers", "What crosses between devices that hold a tower of a network each", "network"),
    "receptive-fields": Entry("tables_memory", "What part of the picture a unit of each layer sees", "network"),
    "networks": Entry("tables_networks", "All networks side by side", "nothing"),
    "lrn-example": Entry("tables_lrn", "Local response normalisation of a few activities, in each network's reading", "nothing"),
    "arithmetic": Entry("tables_claims", "Ways in which 224 or 227 pixels do and do not give the maps of Figure 2", "nothing"),
    "text-vs-code": Entry("tables_comparison", "The text, the 2012 code and four networks of that name, item by item", "nothing"),
    "code-2012": Entry("tables_comparison", "Where the 2012 code is otherwise than the text, and what it means", "nothing"),
    "runs-2012": Entry("tables_record", "What the 2012 configurations and logs say of the paper's figures", "nothing"),
    "ensembles": Entry("tables_record", "Which nets the rows of Table 2 average", "nothing"),
    "reproductions": Entry("tables_comparison", "What others published, centre view and ten views apart", "nothing"),
    "folklore": Entry("tables_folklore", "What popular accounts get wrong, and what shows it", "nothing"),
    "score": Entry("tables_claims", "How many of the paper's statements got which verdict", "profile"),
    "claims": Entry("tables_claims", "Every statement of the paper with its verdict", "profile"),
    "errata": Entry("tables_errata", "What is off in the paper, with the derivation", "profile"),
    "departures": Entry("tables_claims", "What a profile does otherwise than the paper", "profile"),
    "trainings": Entry("tables_runs", "What was trained, where and for how long", "profile"),
    "errors": Entry("tables_results", "Top-1 and top-5 error of every training, group and ensemble", "profile"),
    "ablations": Entry("tables_results", "Every group against the baseline, and what the paper says", "profile"),
    "precision": Entry("tables_precision", "Whether bfloat16 changes results: trainings paired by seed", "profile"),
    "provenance": Entry("tables_runs", "The command, seed, commit and pictures behind every record", "profile"),
    "data": Entry("tables_pictures", "The pictures: how many, of what kind, what was left out", "profile"),
    "pca": Entry("tables_pictures", "Principal components of the training pixels", "profile"),
}


def build(name: str, network: str | None = None, profile: str | Profile | None = None, **chosen: str) -> Table:
    """The table `name`, of a network (default `paper`) or a profile (default `demo`) where it needs one.

    `chosen`: `status` and `section`, by which the table `claims` can be cut down.
    """
    if name not in TABLES:
        raise unknown("table", name, TABLES)
    entry = TABLES[name]
    if network is not None and entry.needs != "network":
        raise UserError(f"table {name!r} is not of one network; leave out --network")
    if chosen and name != "claims":
        raise UserError(f"--{next(iter(chosen))} goes with --table claims")
    function = getattr(import_module(f"replicate.report.{entry.module}"), name.replace("-", "_"))
    if entry.needs == "network":
        return function(networks.load(network or "paper"))
    if entry.needs == "profile":
        return function(profile if isinstance(profile, Profile) else settings.load(profile or "demo"), **chosen)
    return function()


def listing() -> Table:
    """The tables themselves."""
    options = {"network": "--network NAME", "profile": "--profile NAME", "nothing": ""}
    takes = {name: options[entry.needs] for name, entry in TABLES.items()}
    takes["claims"] += " --status WORDS --section NUMBER"
    return Table(
        name="tables",
        caption="Tables that `replicate report --table NAME` prints.",
        columns=[Column("table", "table"), Column("about", "what it shows"), Column("takes", "takes")],
        rows=[{"table": name, "about": entry.about, "takes": takes[name]} for name, entry in TABLES.items()],
        note="--network is `paper` and --profile is `demo` unless given; --format is text, markdown, csv, latex or json.",
    )
