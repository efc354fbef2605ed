"""Any question a SELECT can answer, as measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext, ProbeError
from healthd.probes.postgres.dsn import PostgresUrl
from healthd.probes.postgres.grants import Grants, for_query
from healthd.probes.postgres.sessions import Session, look
from healthd.probes.postgres.statement import check_statement
from healthd.probes.postgres.values import UNNAMED, Column, Table, as_table, measurements
from healthd.probes.scale import UnitName, base_unit

__all__ = ["PostgresQueryProbe"]

ROWS = 1000  # rows read; the others are only counted, by the server
ROWS_SHOWN = 5
_ROWS = MeasureInfo(Unit.COUNT, "rows of the result, 0 when it is empty")
Value = str | int | float | bool | None


class MeasureColumn(BaseModel):
    """The column a measure is read from and the unit its numbers are in ("ms", "bytes")."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str
    unit: UnitName | None = None


def _short(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class QueryParams(Params):
    """A query and how its result is read.

    `params` fills `%(name)s` (a mapping) or `%s` (a list); without it a `%` stands for itself. `series` names the
    column that tells rows apart. `measures` chooses columns: `{name: column}` or `{name: {column, unit}}`; without
    it every column is a measure, with the unit from `units`, its type or its name. `show_rows` is how many rows
    are kept as evidence.
    """

    url: PostgresUrl
    query: Annotated[str, AfterValidator(check_statement)]
    params: dict[str, Value] | list[Value] | None = None
    series: str | None = None
    measures: dict[str, Annotated[MeasureColumn, BeforeValidator(_short)]] = Field(default_factory=dict)
    units: dict[str, UnitName] = Field(default_factory=dict)
    show_rows: int = Field(ROWS_SHOWN, ge=0, le=50)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.measures and self.units:
            raise ValueError("give units inside measures ({column: ..., unit: ...}), not beside them")
        if "rows" in self.measures:
            raise ValueError("the measure rows is always there: give yours another name")
        return self


class PostgresQueryProbe:
    """Runs the query behind a cursor in a read-only transaction: nothing but a SELECT passes there."""

    Params: ClassVar[type[Params]] = QueryParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {"rows": _ROWS}

    def measures_for(self, params: QueryParams) -> Mapping[str, MeasureInfo] | None:
        if not params.measures:
            return None
        declared = {
            name: MeasureInfo(base_unit(m.unit) if m.unit else None, f"column {m.column}")
            for name, m in params.measures.items()
        }
        return {"rows": _ROWS, **declared}

    def grants(self, params: QueryParams) -> Grants:
        """What its role must be granted."""
        return for_query(params.url, params.query)

    async def run(self, params: QueryParams, context: ProbeContext) -> Observation:
        async def ask(session: Session) -> Table:
            return await _fetch(session, params)

        table = await look(context, params.url, ask)
        found, note = _read(table, params)
        shown = as_table(table, params.show_rows, context.limits.max_evidence_chars)
        evidence = (Evidence("first rows of the result", shown),) if table.rows and params.show_rows else ()
        return Observation((Measurement("rows", float(table.total), Unit.COUNT), *found), evidence, note)


async def _fetch(session: Session, params: QueryParams) -> Table:
    """The first rows, and the number of all of them, through a cursor of the server's."""
    connection = session.connection
    # `binary` makes it one prepared statement: a second one behind a semicolon is a syntax error
    declare = f"DECLARE healthd NO SCROLL CURSOR FOR {params.query}"
    await connection.execute(declare.encode(), params.params, binary=True)
    cursor = await connection.execute(f"FETCH FORWARD {ROWS} FROM healthd".encode())
    names = tuple(column.name for column in cursor.description or ())
    columns = ("value",) if names == (UNNAMED,) else names
    rows = tuple(await cursor.fetchall())
    total = len(rows)
    if total == ROWS:
        total += (await connection.execute("MOVE FORWARD ALL FROM healthd")).rowcount
    return Table(columns, rows, total, connection.info.timezone)


def _read(table: Table, params: QueryParams) -> tuple[list[Measurement], str]:
    columns = tuple(Column(name, m.column, m.unit) for name, m in params.measures.items())
    if absent := params.units.keys() - set(table.columns):
        raise ProbeError(f"units names {min(absent)!r}, but the columns are {', '.join(table.columns)}", "config")
    if not columns and params.units:
        columns = tuple(Column(n, n, params.units.get(n)) for n in table.columns if n != params.series)
    if params.series is None and table.total > 1:
        if columns:
            raise ProbeError(f"{table.total} rows where one is expected: name a series column or aggregate", "config")
        return [], f"{table.total} rows and no series column: only the measure rows is known"
    found = measurements(table, columns, params.series)
    if any(m.name == "rows" for m in found):
        raise ProbeError("a column is called rows, like the number of rows: rename it with AS", "config")
    return found, f"only the first {ROWS} of {table.total} rows were read" if table.total > ROWS else ""
