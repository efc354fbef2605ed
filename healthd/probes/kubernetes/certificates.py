"""The `kubernetes_certificates` probe. See docs/probes/kubernetes.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Literal

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.units import Unit, format_duration
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.certificate_facts import CERTIFICATES, TLS_SECRETS, Certificate, get_secret
from healthd.probes.kubernetes.listing import list_objects, list_rules
from healthd.probes.kubernetes.params import NamespacedParams, matcher
from healthd.probes.kubernetes.values import age

__all__ = ["KubernetesCertificatesProbe"]

_SHOWN, _NAMED = 20, 5


class CertificatesParams(NamespacedParams):
    """Which certificates. `source`: cert-manager's Certificates, or the secrets of type kubernetes.io/tls.

    Secrets whose exact names are given are asked for one by one, so that no other need be readable.
    """

    source: Literal["cert-manager", "secrets"] = "cert-manager"

    @property
    def secrets_by_name(self) -> bool:
        """Whether only secrets of known names in known namespaces are asked for."""
        exact = self.name and not any(set(name) & set("*?[") for name in self.name)
        return bool(self.source == "secrets" and exact and "" not in self.lists and not self.selector)


class KubernetesCertificatesProbe:
    """Tells how long certificates are valid still."""

    Params: ClassVar[type[Params]] = CertificatesParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": MeasureInfo(Unit.COUNT, "certificates that fit"),
        "ready": MeasureInfo(Unit.COUNT, "that are issued and valid; of secrets: that hold a certificate"),
        "not_ready": MeasureInfo(Unit.COUNT, "that are not"),
        "expired": MeasureInfo(Unit.COUNT, "whose time is over"),
        "days_left": MeasureInfo(Unit.DAYS, "until it expires, negative once it has; a series for each"),
        "renewal_overdue": MeasureInfo(Unit.SECONDS, "past the time cert-manager wanted to renew it; 0 before"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("count", critical=parse_condition("= 0"), name="count"),
        Threshold("expired", critical=parse_condition("> 0"), name="expired"),
    )

    def measures_for(self, params: CertificatesParams) -> Mapping[str, MeasureInfo]:
        """All; secrets know no renewal."""
        secrets = params.source == "secrets"
        return {k: v for k, v in self.measures.items() if not (secrets and k == "renewal_overdue")}

    def rules(self, params: CertificatesParams) -> tuple[Rule, ...]:
        """What it must be allowed to do."""
        if params.secrets_by_name:
            return tuple(Rule("get", "secrets", "", place, name) for place in params.lists for name in params.name)
        return list_rules(TLS_SECRETS if params.source == "secrets" else CERTIFICATES, params.lists)

    async def run(self, params: CertificatesParams, context: ProbeContext) -> Observation:
        """Look at the list of certificates, or at each secret named."""
        found = await _find(params, context)
        counts = {
            "count": len(found),
            "ready": sum(c.ready for c in found),
            "not_ready": sum(not c.ready for c in found),
            "expired": sum(c.until is not None and c.until <= context.now for c in found),
        }
        measurements = [Measurement(name, float(value), Unit.COUNT) for name, value in counts.items()]
        for certificate in found:
            measurements += _measure(certificate, params.series(certificate), context.now)
        if not found:
            return Observation(tuple(measurements), (), f"no certificate {params.which()}{params.place()}")
        notes = [f"{params.series(c)}: {c.why}" for c in found if c.why][:_NAMED]
        return Observation(tuple(measurements), _evidence(found, params, context), ", ".join(notes))


async def _find(params: CertificatesParams, context: ProbeContext) -> list[Certificate]:
    if params.secrets_by_name:
        asked = [await get_secret(place, name, params, context) for place in params.lists for name in params.name]
        return [certificate for certificate in asked if certificate is not None]
    wanted = matcher(params.name)
    kind = TLS_SECRETS if params.source == "secrets" else CERTIFICATES
    return [certificate for certificate in await list_objects(kind, params, context) if wanted(certificate.name)]


def _measure(certificate: Certificate, series: str, now: datetime) -> list[Measurement]:
    if certificate.until is None:
        return []
    days = (certificate.until - now).total_seconds() / 86400
    found = [Measurement("days_left", days, Unit.DAYS, series)]
    if (late := age(certificate.renew_at, now)) is not None:
        found.append(Measurement("renewal_overdue", late, Unit.SECONDS, series))
    return found


def _evidence(
    certificates: Sequence[Certificate], params: CertificatesParams, context: ProbeContext
) -> tuple[Evidence, ...]:
    def order(certificate: Certificate) -> float:
        return certificate.until.timestamp() if certificate.until is not None else 0.0

    lines = []
    for certificate in sorted(certificates, key=order)[:_SHOWN]:
        parts = [_validity(certificate, context.now), ", ".join(certificate.hosts[:5]), certificate.why]
        lines.append(f"{params.series(certificate)}: {'; '.join(part for part in parts if part)}")
    return (Evidence("certificates", "\n".join(lines)[: context.limits.max_evidence_chars]),)


def _validity(certificate: Certificate, now: datetime) -> str:
    if certificate.until is None:
        return "no certificate yet"
    seconds = (certificate.until - now).total_seconds()
    return f"expired {format_duration(-seconds)} ago" if seconds <= 0 else f"expires in {format_duration(seconds)}"
