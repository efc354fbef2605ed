"""Reports for people from stored outcomes: checklists, growth and availability; as Markdown, JSON and pictures."""

from healthd.report.build import Material, build
from healthd.report.encode import from_json, to_json
from healthd.report.markdown import headline, markdown, summary
from healthd.report.model import Growth, Item, Objective, Report, Task, Value
from healthd.report.objectives import objectives

__all__ = [
    "Growth",
    "Item",
    "Material",
    "Objective",
    "Report",
    "Task",
    "Value",
    "build",
    "from_json",
    "headline",
    "markdown",
    "objectives",
    "summary",
    "to_json",
]
