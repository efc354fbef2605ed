"""Reading what Redis answers, in bounds: one reply may be half a gigabyte, and what answers may not be Redis."""

from __future__ import annotations

from typing import Any

from redis._parsers import _AsyncRESP2Parser
from redis.exceptions import InvalidResponse

from healthd.probes.base import ProbeError

__all__ = ["REPLY_MAX", "CappedParser"]

REPLY_MAX = 4_000_000  # bytes of one reply, whatever it is made of
_DEPTH_MAX = 16  # lists within lists
_PART = 60  # bytes an element of a list costs here beside its own


class CappedParser(_AsyncRESP2Parser):
    """The client library's reader of replies, with a budget for each. The connection is of no use once it is spent."""

    _left = REPLY_MAX
    _depth = 0

    async def read_response(self, disable_decoding: bool = False) -> Any:
        """One reply. Raises ProbeError (kind `limit`) when it is too large."""
        self._left, self._depth = REPLY_MAX, 0
        return await super().read_response(disable_decoding)

    async def _read_response(self, disable_decoding: bool = False) -> Any:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise InvalidResponse("lists within lists without end")
        try:
            return await super()._read_response(disable_decoding)
        except ValueError as error:  # a length that is no number, a line without end
            raise InvalidResponse(str(error)) from None
        finally:
            self._depth -= 1

    async def _read(self, length: int) -> bytes:
        self._spend(length)
        return await super()._read(length)

    async def _readline(self) -> bytes:
        line = await super()._readline()
        self._spend(len(line) + _PART)
        return line

    def _spend(self, length: int) -> None:
        if length < 0:
            raise InvalidResponse(f"a text of {length} bytes")
        self._left -= length
        if self._left < 0:
            raise ProbeError(f"a reply is larger than {REPLY_MAX // 1_000_000} MB", "limit")
