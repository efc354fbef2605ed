"""What this room needs of a probe: enough to validate parameters and measures, nothing to run them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import BaseModel

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit


class Measure(Protocol):
    """One documented measure; `unit` is None when it may have any."""

    @property
    def unit(self) -> Unit | None: ...

    @property
    def help(self) -> str: ...


class ProbeKind(Protocol):
    """A probe as the catalogue sees it; every probe of the table fits."""

    @property
    def Params(self) -> type[BaseModel]: ...  # noqa: N802 - the attribute's name in every probe

    @property
    def measures(self) -> Mapping[str, Any]: ...

    @property
    def defaults(self) -> tuple[Threshold, ...]: ...

    def measures_for(self, params: Any) -> Mapping[str, Any] | None:
        """The measures a check with these parameters can have; None when any name may appear."""
