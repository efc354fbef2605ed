"""What is wrong with a request."""

from __future__ import annotations

import math
from collections.abc import Mapping

MENDABLE = (400, 409)  # by filling in the form otherwise


class RequestError(Exception):
    """A request that is answered with an error: status, what is wrong, and what would help.

    `retry_after`: seconds after which the same request may be answered.
    """

    def __init__(self, status: int, error: str, hint: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.hint = status, error, hint
        after = {} if retry_after is None else {"Retry-After": str(max(1, math.ceil(retry_after)))}
        self.headers: Mapping[str, str] = after
