"""`load`: the load averages, as they are and per processor."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.base import MeasureInfo, Measurement, Observation, ProbeContext, ProbeError

_MINUTES = (1, 5, 15)


class LoadParams(base.Params):
    """There are none: the machine has one answer."""


class LoadProbe:
    """Reads the three load averages. Nothing to wait for."""

    Params: ClassVar[type[base.Params]] = LoadParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        **{f"load{n}": MeasureInfo(Unit.COUNT, f"processes running or waiting, over {n} min") for n in _MINUTES},
        **{f"load{n}_per_core": MeasureInfo(Unit.RATIO, f"load{n} divided by the processors") for n in _MINUTES},
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: LoadParams) -> Mapping[str, MeasureInfo]:
        return self.measures

    async def run(self, params: LoadParams, context: ProbeContext) -> Observation:
        """Look once. Raises ProbeError `unsupported` on a system without load averages."""
        try:
            loads = os.getloadavg()
        except OSError as error:
            raise ProbeError(f"this system gives no load averages ({error})", "unsupported") from None
        cores = os.cpu_count() or 1
        measurements = [Measurement(f"load{n}", load, Unit.COUNT) for n, load in zip(_MINUTES, loads, strict=True)]
        measurements += [
            Measurement(f"load{n}_per_core", load / cores, Unit.RATIO) for n, load in zip(_MINUTES, loads, strict=True)
        ]
        return Observation(tuple(measurements))
