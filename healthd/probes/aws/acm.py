"""`acm`: certificates of Certificate Manager: how long they last, whether they renew themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence, Level, Measurement
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.aws.ages import days_until
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.params import AwsParams, Names, fits
from healthd.probes.aws.probe import Asker, AwsProbe, count_of
from healthd.probes.base import MeasureInfo, Observation

LIST_CERTIFICATES = Operation("acm", "list_certificates", "acm:ListCertificates", "CertificateSummaryList")
# without this AWS lists RSA keys of 2048 bits only
_KEYS = [
    "RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1",
]  # fmt: skip
_SHOWN = 20


class AcmParams(AwsParams):
    """Which certificates: `domains` are exact or globs, of the name a certificate was made for or one it holds too.

    Of a domain with several certificates the one that lasts longest counts. `in_use` leaves out those nothing uses.
    """

    domains: Names = ()
    in_use: bool = False

    @property
    def required(self) -> tuple[str, ...]:
        """Domains that are no globs; a wildcard certificate's own name begins with a star and is one."""
        return tuple(name for name in self.domains if not set(name) & set("*?["))


class AcmProbe(AwsProbe):
    """Lists the certificates of a region."""

    Params: ClassVar[type[base.Params]] = AcmParams
    operations: ClassVar[tuple[Operation, ...]] = (LIST_CERTIFICATES,)
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("missing_count", critical=parse_condition("> 0"), missing=Level.OK, name="missing_count"),
    )
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": count_of("certificates looked at"),
        "days_left": MeasureInfo(Unit.DAYS, "until it ends, negative afterwards; one for each domain"),
        "status": MeasureInfo(Unit.TEXT, "ISSUED, PENDING_VALIDATION, EXPIRED, FAILED, ...; one for each domain"),
        "soonest_days_left": MeasureInfo(Unit.DAYS, "of the domain that ends first; absent without any"),
        "not_issued": count_of("domains without a certificate in status ISSUED"),
        "not_renewable": count_of("issued certificates that AWS will not renew by itself"),
        "missing_count": count_of("domains named exactly without any certificate; with domains"),
    }

    async def look(self, params: AcmParams, aws: Asker) -> Observation:
        """List all; which of them matter is decided here, so that checks can share the list."""
        listed = await aws.items(LIST_CERTIFICATES, Includes={"keyTypes": _KEYS})
        wanted = [c for c in listed if _fits(c, params) and (c.get("InUse") or not params.in_use)]
        best: dict[str, dict[str, Any]] = {}
        for certificate in sorted(wanted, key=lambda c: (c.get("Status") == "ISSUED", _days(c, aws) or 0.0)):
            best[certificate["DomainName"]] = certificate
        missing = [name for name in params.required if not any(name in _names(c) for c in wanted)]
        left = {name: days for name, c in best.items() if (days := _days(c, aws)) is not None}
        issued = [c for c in wanted if c.get("Status") == "ISSUED"]
        found: dict[str, float | str | None] = {
            "count": len(wanted),
            "soonest_days_left": min(left.values(), default=None),
            "not_issued": sum(c.get("Status") != "ISSUED" for c in best.values()),
            "not_renewable": sum(c.get("RenewalEligibility") == "INELIGIBLE" for c in issued),
            "missing_count": len(missing) if params.required else None,
        }
        series = [Measurement("days_left", days, Unit.DAYS, name) for name, days in left.items()]
        series += [Measurement("status", c.get("Status", "unknown"), Unit.TEXT, name) for name, c in best.items()]
        ranked = sorted(best, key=lambda name: left.get(name, 0.0))[:_SHOWN]
        lines = [f"{name}: {best[name].get('Status')}, {left.get(name, 0.0):.0f} days left" for name in ranked]
        evidence = (Evidence("Certificates", "\n".join(lines)),) if lines else ()
        return Observation((*self.measured(found), *series), evidence, _note(missing, wanted))


def _names(certificate: Mapping[str, Any]) -> list[str]:
    return [certificate["DomainName"], *certificate.get("SubjectAlternativeNameSummaries", ())]


def _fits(certificate: Mapping[str, Any], params: AcmParams) -> bool:
    return any(fits(name, params.domains) for name in _names(certificate))


def _days(certificate: Mapping[str, Any], aws: Asker) -> float | None:
    return days_until(certificate.get("NotAfter"), aws.now)


def _note(missing: list[str], wanted: list[dict[str, Any]]) -> str:
    if missing:
        return f"no certificate for {', '.join(missing)}"
    return "" if wanted else "no certificates"
