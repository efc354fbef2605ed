"""The `websocket` probe itself. See docs/probes/websocket.md."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from healthd.model.catalogue import Threshold
from healthd.model.outcomes import Evidence, Measurement, Observation
from healthd.model.units import Unit
from healthd.probes.base import DOWN, MeasureInfo, Params, ProbeContext
from healthd.probes.network import no_answer, patience
from healthd.probes.websocket.params import WebSocketParams

if TYPE_CHECKING:
    from healthd.probes.websocket.look import Look


class WebSocketProbe:
    """Opens a WebSocket, tries it and closes it. `up` is 1 only when all went as the parameters expect."""

    Params: ClassVar[type[Params]] = WebSocketParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "up": MeasureInfo(Unit.COUNT, "1 when it opened and all was as expected, otherwise 0"),
        "status": MeasureInfo(Unit.COUNT, "status code of the handshake; 101 when it opened"),
        "handshake_time": MeasureInfo(Unit.SECONDS, "from the name lookup to the open WebSocket"),
        "ping_time": MeasureInfo(Unit.SECONDS, "from a ping frame to its pong; not with ping: false"),
        "round_trip_time": MeasureInfo(Unit.SECONDS, "from the message sent to the one expected"),
        "subprotocol": MeasureInfo(Unit.TEXT, "the one the server chose, or none; only where some were offered"),
        "messages": MeasureInfo(Unit.COUNT, "messages that came"),
        "held": MeasureInfo(Unit.SECONDS, "how long the open connection lasted, at most `hold`"),
        "namespace_time": MeasureInfo(Unit.SECONDS, "Socket.IO: connecting to the namespace"),
        "ping_interval": MeasureInfo(Unit.SECONDS, "Socket.IO: time between the server's pings, as it says"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (DOWN,)

    def measures_for(self, params: WebSocketParams) -> Mapping[str, MeasureInfo]:
        """Those that these parameters ask for."""
        absent = {
            name
            for name, there in (
                ("ping_time", params.ping),
                ("round_trip_time", params.exchanges),
                ("subprotocol", params.subprotocols),
                ("held", params.hold),
                ("namespace_time", params.socketio),
                ("ping_interval", params.socketio),
            )
            if not there
        }
        return {name: info for name, info in self.measures.items() if name not in absent}

    async def run(self, params: WebSocketParams, context: ProbeContext) -> Observation:
        """Look once. What does not open or answer is `up` 0; raises ProbeError for the check's own mistakes."""
        from healthd.probes.http.failures import FAILURES
        from healthd.probes.http.timings import timed
        from healthd.probes.websocket.conversation import EndedError
        from healthd.probes.websocket.handshake import UnexpectedError
        from healthd.probes.websocket.look import Look
        from healthd.probes.websocket.packets import PacketError

        look = Look(params, context)
        note = ""
        with timed() as timings:
            try:
                async with asyncio.timeout(patience(context.timeout)):
                    await look.run()
            except UnexpectedError as error:
                note = str(error)
                if error.status is not None:
                    look.measurements.append(Measurement("status", float(error.status), Unit.COUNT))
            except EndedError as error:
                note = f"{error}, while {look.doing}" if look.doing else str(error)
            except PacketError as error:
                note = f"not Socket.IO: {error}, while {look.doing}"
            except FAILURES as error:
                note = _explain(error, params, look.doing or timings.stage, context)
        return _observation(look, params.redactor()(note) if note else "")


def _explain(error: Exception, params: WebSocketParams, doing: str, context: ProbeContext) -> str:
    from healthd.probes.http.failures import explain_client_error

    if isinstance(error, TimeoutError) and not error.errno:
        return no_answer(context.timeout, doing)
    return explain_client_error(error, urlsplit(params.url).hostname or "")[0]


def _observation(look: Look, note: str) -> Observation:
    measurements = [Measurement("up", 0.0 if note else 1.0, Unit.COUNT), *look.measurements]
    talk = look.conversation
    if talk is None:
        return Observation(tuple(measurements), (), note)
    measurements.append(Measurement("messages", float(talk.count), Unit.COUNT))
    if not note or not talk.seen:
        return Observation(tuple(measurements), (), note)
    redact = look.params.redactor()
    lines = ["".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in redact(t))[:200] for t in talk.seen]
    return Observation(tuple(measurements), (Evidence("last messages", "\n".join(lines)),), note)
