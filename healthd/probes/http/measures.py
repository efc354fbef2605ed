"""The measures of the `http` probe: stable names, base units."""

from __future__ import annotations

from collections.abc import Mapping

from healthd.model.units import Unit
from healthd.probes.base import MeasureInfo

MEASURES: Mapping[str, MeasureInfo] = {
    "up": MeasureInfo(Unit.COUNT, "1 when the answer came and is as expected, otherwise 0"),
    "latency": MeasureInfo(Unit.SECONDS, "the whole exchange: from the name lookup to the end of the body"),
    "status": MeasureInfo(Unit.COUNT, "status code of the final response"),
    "dns_time": MeasureInfo(Unit.SECONDS, "name lookup; 0 for an address or a name known for less than 10 s"),
    "connect_time": MeasureInfo(Unit.SECONDS, "TCP connection"),
    "tls_time": MeasureInfo(Unit.SECONDS, "TLS handshake; only for https"),
    "first_byte_time": MeasureInfo(Unit.SECONDS, "from the request sent to the response headers"),
    "transfer_time": MeasureInfo(Unit.SECONDS, "from the response headers to the end of the body"),
    "body_size": MeasureInfo(Unit.BYTES, "body after decompression; at least this when it was cut at the limit"),
    "redirects": MeasureInfo(Unit.COUNT, "redirects followed"),
    "tls_days_left": MeasureInfo(Unit.DAYS, "until the server's certificate expires, negative afterwards; only https"),
    "body_match": MeasureInfo(Unit.COUNT, "1 when the body is as the patterns say, otherwise 0; only with a pattern"),
}
