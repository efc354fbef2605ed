"""YAML in, validated model out: every mistake at once, each with its place and what would be right.

`load` reads, `watch` tells when to read again, `diff` what changed, `schema` serves editors. Knows probes and channels
only as parameter models that are passed in.
"""

from healthd.catalogue.channels import BUILT_IN as BUILT_IN_CHANNELS
from healthd.catalogue.json_schema import schema
from healthd.catalogue.kinds import ProbeKind
from healthd.catalogue.loader import Looks, diff, load, load_looks
from healthd.catalogue.problems import CatalogueError, Problem
from healthd.catalogue.watcher import watch

__all__ = [
    "BUILT_IN_CHANNELS",
    "CatalogueError",
    "Looks",
    "ProbeKind",
    "Problem",
    "diff",
    "load",
    "load_looks",
    "schema",
    "watch",
]
