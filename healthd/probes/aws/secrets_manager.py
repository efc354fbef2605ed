"""`secrets_manager`: when secrets were last rotated. Their values are never asked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence, Level, Measurement
from healthd.model.units import Unit, format_duration
from healthd.probes import base
from healthd.probes.aws.ages import age
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.params import AwsParams, Names, fits
from healthd.probes.aws.probe import Asker, AwsProbe, count_of
from healthd.probes.base import MeasureInfo, Observation

LIST_SECRETS = Operation("secretsmanager", "list_secrets", "secretsmanager:ListSecrets", "SecretList")
_SERIES_MAX = 200
_SHOWN = 20


class SecretsManagerParams(AwsParams):
    """Which secrets: `names` are exact or globs; those named exactly have to be there."""

    names: Names = ()
    ignore: Names = ()

    @property
    def required(self) -> tuple[str, ...]:
        """Names that are no globs."""
        return tuple(name for name in self.names if not set(name) & set("*?["))


class SecretsManagerProbe(AwsProbe):
    """Reads the list of secrets: names and dates, nothing of what they hold."""

    Params: ClassVar[type[base.Params]] = SecretsManagerParams
    operations: ClassVar[tuple[Operation, ...]] = (LIST_SECRETS,)
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("missing_count", critical=parse_condition("> 0"), missing=Level.OK, name="missing_count"),
    )
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": count_of("secrets, without those being deleted"),
        "age": MeasureInfo(Unit.SECONDS, "since it was rotated or changed or, failing both, made; one for each secret"),
        "oldest_age": MeasureInfo(Unit.SECONDS, "of the one rotated longest ago; absent without secrets"),
        "never_rotated": count_of("that rotation has never replaced"),
        "rotation_off": count_of("without automatic rotation"),
        "rotation_overdue": count_of("whose next rotation should have happened"),
        "unused": count_of("that nobody has read for 90 days"),
        "missing_count": count_of("secrets named exactly that are not there; with names"),
    }

    async def look(self, params: SecretsManagerParams, aws: Asker) -> Observation:
        """List all; which of them matter is decided here, so that checks can share the list."""
        listed = [
            s for s in await aws.items(LIST_SECRETS) if not s.get("DeletedDate") and fits(s["Name"], params.names)
        ]
        secrets = [s for s in listed if not (params.ignore and fits(s["Name"], params.ignore))]
        missing = set(params.required) - {secret["Name"] for secret in secrets}
        ranked = sorted(((_age(secret, aws.now), secret["Name"]) for secret in secrets), reverse=True)
        found: dict[str, float | str | None] = {
            "count": len(secrets),
            "oldest_age": ranked[0][0] if ranked else None,
            "never_rotated": sum(not secret.get("LastRotatedDate") for secret in secrets),
            "rotation_off": sum(not secret.get("RotationEnabled") for secret in secrets),
            "rotation_overdue": sum(_overdue(secret, aws.now) for secret in secrets),
            "unused": sum((age(_read(secret), aws.now) or 0.0) > 90 * 86400 for secret in secrets),
            "missing_count": len(missing) if params.required else None,
        }
        series = [Measurement("age", seconds, Unit.SECONDS, name) for seconds, name in ranked[:_SERIES_MAX]]
        lines = [f"{name}: {format_duration(round(seconds))} ago" for seconds, name in ranked[:_SHOWN]]
        evidence = (Evidence("Rotated longest ago", "\n".join(lines)),) if lines else ()
        absent = sorted(missing) or (list(params.names) if not secrets else [])
        note = f"no secret {', '.join(absent)}" if absent else ""
        return Observation((*self.measured(found), *series), evidence, note)


def _age(secret: Mapping[str, Any], now: datetime) -> float:
    changed = [secret.get(name) for name in ("LastRotatedDate", "LastChangedDate")]
    latest = max((moment for moment in changed if moment), default=secret.get("CreatedDate"))
    return age(latest, now) or 0.0


def _overdue(secret: Mapping[str, Any], now: datetime) -> bool:
    planned = secret.get("NextRotationDate")
    return bool(secret.get("RotationEnabled")) and planned is not None and planned < now


def _read(secret: Mapping[str, Any]) -> datetime | None:
    moment: datetime | None = secret.get("LastAccessedDate") or secret.get("CreatedDate")
    return moment
