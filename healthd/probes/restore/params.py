"""What a drill is told: which backup, into what, and what must be true of what comes out."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from healthd.model.conditions import ConditionError, parse_condition
from healthd.model.units import Unit, UnitError, parse_quantity
from healthd.probes.aws.params import AwsParams
from healthd.probes.base import Duration, OneOrMany, Params
from healthd.probes.date_template import check_dates
from healthd.probes.files.pattern import check_glob
from healthd.probes.patterns import regular_expression
from healthd.probes.postgres.dsn import PostgresUrl
from healthd.probes.postgres.statement import check_statement

__all__ = ["Compare", "RestoreParams", "S3Source", "Sanity"]

_TABLE = re.compile(r'(?:(?:"[^"]+"|[^".\s]+)\.)?(?:"[^"]+"|[^".\s]+)')


def _condition(text: str) -> str:
    try:
        parse_condition(text)
    except ConditionError as error:
        raise ValueError(str(error)) from None
    return text


def _quantity(expected: Unit, example: str) -> BeforeValidator:
    def read(value: object) -> float:
        try:
            quantity = parse_quantity(str(value))
        except UnitError as error:
            raise ValueError(str(error)) from None
        if quantity.unit not in (None, expected) or quantity.value < 0:
            raise ValueError(f"{value!r}: expected something like {example}")
        return quantity.value

    return BeforeValidator(read, json_schema_input_type=str | float)


def _table(name: str) -> str:
    if not _TABLE.fullmatch(name):
        raise ValueError(f'{name!r} is not a table: expected users, shop.orders or "Mixed Case"')
    return name


Ratio = Annotated[float, _quantity(Unit.RATIO, "5%")]
Size = Annotated[float, _quantity(Unit.BYTES, "20GB")]


def _or_none(value: Any) -> Any:
    """A variable that is not set leaves an empty word."""
    return value or None


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(f"{path} is not an absolute path: write it from /")
    return path


class S3Source(AwsParams):
    """Objects under a prefix; `match` is a regular expression found in the key. Where and as whom as for AWS probes."""

    bucket: str = Field(min_length=3)
    prefix: Annotated[str, AfterValidator(check_dates)] = ""
    match: Annotated[str, AfterValidator(regular_expression)] | None = None
    max_objects: int = Field(100_000, ge=1)


class Sanity(Params):
    """One question to the restored database; the first column of its first row must satisfy `expect`."""

    query: Annotated[str, AfterValidator(check_statement)]
    expect: Annotated[str, AfterValidator(_condition)] = "> 0"
    name: str = ""


class Compare(Params):
    """Rows of tables here and in production, which is only read."""

    url: PostgresUrl
    tables: tuple[Annotated[str, AfterValidator(_table)], ...] = Field(min_length=1)
    tolerance: Ratio = 0.05
    count: Literal["exact", "estimate"] = "exact"
    timeout: Duration = timedelta(seconds=60)


class RestoreParams(Params):
    """The newest of the files a glob finds, or of the objects under an S3 prefix, into a server of our own or yours."""

    file: OneOrMany = ()
    s3: S3Source | None = None
    checksum: Literal["required", "if_present", "off"] = "if_present"
    server: PostgresUrl | None = None
    binaries: Annotated[Annotated[Path, AfterValidator(_absolute)] | None, BeforeValidator(_or_none)] = None
    jobs: int = Field(1, ge=1, le=64)
    space: Size | None = None
    trust_dump: bool = False
    sanity: tuple[Sanity, ...] = ()
    compare: Compare | None = None
    leftovers_after: Duration = timedelta(hours=24)

    @model_validator(mode="after")
    def _one_source(self) -> RestoreParams:
        if bool(self.file) == (self.s3 is not None):
            raise ValueError("say where the backups are: either file or s3")
        for glob in self.file:
            check_glob(glob)
        return self
