"""`healthd sandbox`: the emulated production to try healthd against."""

from __future__ import annotations

from healthd.sandbox.commands import sandbox

__all__ = ["sandbox"]
