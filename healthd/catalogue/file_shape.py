"""One catalogue file as people write it: every section with its shape. What the JSON Schema is made from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from healthd.catalogue.playbook_shapes import PlaybookShape
from healthd.catalogue.runbook_shapes import (
    AttestationShape,
    ContactShape,
    DocumentShape,
    EscalationShape,
    ReportShape,
    WindowShape,
)
from healthd.catalogue.shapes import (
    CadenceShape,
    ChannelShape,
    CheckShape,
    DefaultsShape,
    RouteShape,
    RowShape,
    SeverityShape,
    SystemShape,
)


class CatalogueShape(BaseModel):
    """One file of a healthd catalogue. Keys that begin with `x-` are ignored: a place for anchors."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"patternProperties": {"^x-": {}}})
    system: SystemShape | None = None
    """the system this folder describes"""
    defaults: DefaultsShape | None = None
    """what holds for every check that says nothing else"""
    severities: dict[str, SeverityShape | None] | None = None
    """the severity scale, worst first"""
    cadences: dict[str, CadenceShape] | None = None
    """named calendar rules"""
    checks: list[CheckShape] | None = None
    """what is looked at"""
    thresholds: dict[str, RowShape] | None = None
    """the threshold table"""
    playbooks: dict[str, PlaybookShape] | None = None
    """what to do about failures"""
    channels: dict[str, ChannelShape] | None = None
    """where people are told"""
    routes: list[RouteShape] | None = None
    """who is told of what"""
    runbook: list[DocumentShape] | None = None
    """index of the documented items, made from the documents"""
    attestations: dict[str, AttestationShape] | None = None
    """what people do and sign for"""
    reports: dict[str, ReportShape] | None = None
    """numbers gathered for people"""
    contacts: dict[str, ContactShape] | None = None
    """where people are reached"""
    windows: dict[str, WindowShape] | None = None
    """maintenance windows"""
    escalation: dict[str, EscalationShape] | None = None
    """who is told when an incident stays open, the first level first"""
