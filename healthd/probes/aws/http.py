"""Reading answers: never more than there is room for, never for somebody who has left, never half of one as whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

__all__ = ["ANSWER_MAX", "BoundedSession", "StoppedError", "TooLongError"]

ANSWER_MAX = 16_000_000  # bytes of one answer; AWS' own are a few megabytes at most
_CHUNK = 65_536


class StoppedError(Exception):
    """Nobody waits for this answer any longer."""


class TooLongError(Exception):
    """An answer that is longer than ANSWER_MAX."""


class BoundedSession:
    """Takes the place of a botocore client's HTTP session, which reads all that a server cares to send.

    It also takes a connection that ends early for the end of the answer, and that for an empty one.
    `mine.stop`, of the calling thread, is set when nobody waits.
    """

    def __init__(self, inner: Any, mine: threading.local) -> None:
        self._inner, self._mine = inner, mine

    def send(self, request: Any) -> Any:
        """The response, its body read unless it is an object's.

        Raises what botocore's session does, and TooLongError, StoppedError.
        """
        from botocore.awsrequest import AWSResponse

        if self._mine.stop.is_set():
            raise StoppedError
        if request.stream_output:  # an object: whoever asked reads it piece by piece, and knows how much is enough
            return self._inner.send(request)
        request.stream_output = True
        response = self._inner.send(request)
        try:
            body = self._read(response.raw)
        except Exception as error:  # noqa: BLE001 - raised again, in botocore's words
            response.raw.close()
            raise _as_botocore(error, request) from None
        length = response.headers.get("Content-Length", "")
        if request.method != "HEAD" and length.isdecimal() and len(body) < int(length):
            raise _closed_early(request)
        return AWSResponse(response.url, response.status_code, response.headers, _Body(body))

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _read(self, raw: Any) -> bytes:
        found = bytearray()
        for chunk in raw.stream(_CHUNK):
            found += chunk
            if len(found) > ANSWER_MAX:
                raise TooLongError
            if self._mine.stop.is_set():
                raise StoppedError
        self._mine.read = getattr(self._mine, "read", 0) + len(found)
        return bytes(found)


class _Body:
    """A body that has been read, as botocore wants to read it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._body

    def read(self, *_: Any, **__: Any) -> bytes:
        return self._body


def _as_botocore(error: Exception, request: Any) -> Exception:
    """What botocore makes of an error while it reads, so that it tries again."""
    from botocore.exceptions import ReadTimeoutError
    from urllib3.exceptions import ProtocolError
    from urllib3.exceptions import ReadTimeoutError as Urllib3ReadTimeoutError

    if isinstance(error, Urllib3ReadTimeoutError):
        return ReadTimeoutError(endpoint_url=request.url, error=error)  # type: ignore[no-any-return]
    return _closed_early(request) if isinstance(error, ProtocolError | OSError) else error


def _closed_early(request: Any) -> Exception:
    from botocore.exceptions import ConnectionClosedError

    return ConnectionClosedError(endpoint_url=request.url, request=request)  # type: ignore[no-any-return]
