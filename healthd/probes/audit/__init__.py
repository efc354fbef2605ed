"""The `audit` probe: what npm, pip-audit, trivy and snyk found, from a stored report or by running them."""

from healthd.probes.audit.probe import AuditProbe

__all__ = ["AuditProbe"]
