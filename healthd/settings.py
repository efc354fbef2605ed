"""Process settings: environment `HEALTHD_*`, an optional file of the same names, `HEALTHD_..._FILE` for secrets.

A setting given both ways is an error; so is a `_FILE` that cannot be read. Secrets are SecretStr throughout.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from healthd.model.units import parse_duration

PREFIX = "HEALTHD_"


class SettingsError(Exception):
    """Settings that cannot be used; one line each, naming the variable."""


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(v.strip() for v in value.replace(os.pathsep, ",").split(",") if v.strip())


def _web_address(value: str) -> str:
    if value and not re.match(r"https?://[^/\s]+\S*$", value):
        raise ValueError("not a web address: expected https://healthd.example")
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]


def _split_at_commas(value: Any) -> Any:
    """Not at colons: a host may have its port."""
    return tuple(v.strip() for v in value.split(",") if v.strip()) if isinstance(value, str) else value


def _secret_address(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        _web_address(value.get_secret_value())
    return value


def _networks(value: Any) -> Any:
    """10.0.0.0/8, or a single address; separated by commas."""
    found = []
    for word in _split_at_commas(value):
        try:
            found.append(ip_network(word, strict=False))
        except ValueError:
            raise ValueError(f"{word!r} is neither a network such as 10.0.0.0/8 nor an address") from None
    return tuple(found)


def _header_name(value: str) -> str:
    """A header that only a proxy has a reason to send."""
    name = value.strip().lower()
    if name and not re.fullmatch(r"[a-z0-9-]+", name):
        raise ValueError("not the name of a header: expected letters, digits and hyphens")
    if name in ("authorization", "cookie", "host", "origin") or name.startswith(("x-forwarded-for", "x-healthd-")):
        raise ValueError(f"{value} says other things: name the header that holds who somebody is")
    return name


WebAddress = Annotated[str, AfterValidator(_web_address)]
AtLeastOne = Annotated[int, Field(ge=1)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
HostWords = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_at_commas)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
AMinute = timedelta(minutes=1)


class Settings(BaseSettings):
    """Everything an installation may set. Durations are written "30s", "5m", "24h"."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what load_settings resolved: it merges environment, config file and `_FILE` variables."""
        return (init_settings,)

    checks: Words = Field(("checks",), description="catalogue folders, separated by commas or colons")
    host: str = "127.0.0.1"
    port: int = Field(9780, ge=0, le=65535)
    database_url: SecretStr = Field(
        SecretStr("sqlite:///healthd.db"), description="sqlite:///path or postgresql://user:password@host/db"
    )
    token: SecretStr | None = Field(None, description="bearer token for whatever changes state")
    read_open: bool = Field(True, description="pages and API may be read without the token; false: only with it")
    revision: str = Field("", description="of the source, shown by healthd_build_info; set by the image")
    public_url: WebAddress = Field("", description="address of the page as people reach it, for links in messages")
    tls_cert: Path | None = Field(None, description="certificate of the port with its chain, PEM: then it speaks TLS")
    tls_key: Path | None = Field(None, description="its private key, PEM")
    trusted_proxies: Networks = Field((), description="networks of proxies whose X-Forwarded- headers are believed")
    proxy_user_header: HeaderName = Field(
        "", description="header in which an identity-aware proxy says who asks, such as X-Auth-Request-Email"
    )
    proxy_groups_header: HeaderName = Field("", description="header with the groups of who asks, separated by commas")
    editors: HostWords = Field(
        (), description="who of them may change something: names, patterns, group:NAME; empty: everybody"
    )
    allowed_hosts: HostWords = Field(
        (), description="names by which browsers may call this port; empty: any, on loopback only its own"
    )
    session_lifetime: Duration = Field(timedelta(hours=12), ge=AMinute, description="a session's end, whatever is done")
    session_idle: Duration = Field(timedelta(hours=2), ge=AMinute, description="a session's end when nothing is done")
    mask_personal: bool = Field(
        True, description="mask mail addresses and card numbers in evidence, reasons and diagnoses"
    )
    public_status: bool = Field(False, description="show /status and /badge/... to everybody, whatever read_open says")
    lease: Duration = Field(
        timedelta(seconds=8),
        ge=timedelta(seconds=1),
        description="how long a replica that says nothing keeps the lead, on PostgreSQL",
    )
    worker_lease: Duration = Field(
        timedelta(seconds=6), ge=timedelta(seconds=3), description="a worker that says nothing for so long is gone"
    )
    advertise_url: WebAddress = Field("", description="where other replicas reach this one (default: host and port)")
    log_format: Literal["auto", "json", "pretty"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    slack_webhook_url: SecretStr | None = None
    pagerduty_routing_key: SecretStr | None = None
    pagerduty_url: str = "https://events.pagerduty.com/v2/enqueue"
    pagerduty_webhook_secrets: SecretStr | None = Field(
        None, description="of PagerDuty's webhooks v3 to /hooks/pagerduty, separated by commas"
    )
    slack_signing_secret: SecretStr | None = Field(None, description="of the Slack app whose buttons ask /hooks/slack")
    webhook_url: SecretStr | None = None
    webhook_secret: SecretStr | None = Field(None, description="Standard Webhooks secret, whsec_...")
    notify_max_age: Duration = Field(timedelta(hours=24), description="after this a message not accepted is given up")

    self_watch: bool = Field(True, description="watch healthd itself: late checks, stuck messages, reloads, store")
    outbox_stuck: Duration = Field(timedelta(minutes=5), description="a message waiting so long is stuck")
    heartbeat_url: Annotated[SecretStr | None, AfterValidator(_secret_address)] = Field(
        None, description="pinged while healthd is able to work: a dead man's switch"
    )
    heartbeat_every: Duration = Field(
        timedelta(seconds=60), ge=timedelta(seconds=1), description="how often it is pinged"
    )

    allowed_commands: Words = Field((), description="programs the command probe may run; empty: none")
    allowed_load_hosts: HostWords = Field(
        (), description="hosts, or host:port, that load_benchmark may put load on; separated by commas; empty: none"
    )
    scratch_dir: Path | None = Field(None, description="folder that restore drills may work in; without it: none")
    probe_concurrency: int = Field(100, ge=1, description="runs at once of one probe type")
    concurrency: Mapping[str, AtLeastOne] = Field(default_factory=dict, description='JSON, per probe type: {"aws": 4}')
    default_timeout: Duration = timedelta(seconds=10)
    shutdown_grace: Duration = timedelta(seconds=10)
    reload_watch: bool = Field(True, description="reload when catalogue files change")
    retention: Duration = Field(timedelta(days=7), description="how long single outcomes are kept")
    retention_history: Duration = Field(timedelta(days=400), description="how long incidents, hourly values are kept")


def load_settings(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings from `environment` (default: os.environ) and `HEALTHD_CONFIG`, a KEY=VALUE file.

    Raises SettingsError naming every variable that is wrong.
    """
    env = dict(os.environ if environment is None else environment)
    env = {**_read_config(env.get(PREFIX + "CONFIG")), **env}
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name in Settings.model_fields:
        variable = PREFIX + name.upper()
        given, file = env.get(variable), env.get(variable + "_FILE")
        if given and file:
            problems.append(f"{variable} and {variable}_FILE are both set: keep one")
        elif file:
            try:
                values[name] = _read_text(file).strip()
            except OSError as error:
                problems.append(f"{variable}_FILE: cannot read {file}: {error.strerror}")
        elif given:
            values[name] = given
    known = {PREFIX + n.upper() for n in Settings.model_fields}
    problems += [_unknown(v, known) for v in env if v.startswith(PREFIX) and _is_unknown(v, known)]
    if problems:
        raise SettingsError("\n".join(problems))
    return _validated(values, overrides)


def _validated(values: dict[str, Any], overrides: dict[str, Any]) -> Settings:
    import json

    if isinstance(values.get("concurrency"), str):
        try:
            values["concurrency"] = json.loads(values["concurrency"])
        except ValueError as error:
            raise SettingsError(f'{PREFIX}CONCURRENCY: not JSON ({error}): expected {{"http": 200}}') from None
    try:
        return _coherent(Settings.model_validate({**values, **{k: v for k, v in overrides.items() if v is not None}}))
    except ValidationError as error:
        lines = [
            f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
        ]
        raise SettingsError("\n".join(lines)) from None


def _coherent(settings: Settings) -> Settings:
    """What makes sense only together. Raises SettingsError."""
    problems = []
    if settings.proxy_user_header and not settings.trusted_proxies:
        problems.append("PROXY_USER_HEADER: anybody could send it: set HEALTHD_TRUSTED_PROXIES to the proxy's networks")
    for name in ("proxy_groups_header", "editors"):
        if getattr(settings, name) and not settings.proxy_user_header:
            problems.append(f"{name.upper()}: says nothing without HEALTHD_PROXY_USER_HEADER")
    if settings.tls_key and not settings.tls_cert:
        problems.append("TLS_KEY: there is no HEALTHD_TLS_CERT")
    if problems:
        raise SettingsError("\n".join(PREFIX + problem for problem in problems))
    return settings


def _is_unknown(variable: str, known: set[str]) -> bool:
    base = variable.removesuffix("_FILE")
    return variable not in known and base not in known and variable != PREFIX + "CONFIG"


def _unknown(variable: str, known: set[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(variable, known, n=1)
    return f"{variable}: unknown setting" + (f"; did you mean {near[0]}?" if near else "")


def _read_text(path: str) -> str:
    """UTF-8 whatever the locale; OSError for anything else, too."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise OSError(errno.EILSEQ, "it is not text in UTF-8") from None


def _read_config(path: str | None) -> dict[str, str]:
    if not path:
        return {}
    try:
        lines = _read_text(path).splitlines()
    except OSError as error:
        raise SettingsError(f"{PREFIX}CONFIG: cannot read {path}: {error.strerror}") from None
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip().strip("'\"") for key, value in pairs}
