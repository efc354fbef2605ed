"""What the kernel knows about its clock: adjtimex(2) with no mode set, which changes nothing and needs no right."""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass

_STA_UNSYNC, _STA_NANO = 0x0040, 0x2000
_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 32),
    ]


@dataclass(frozen=True, slots=True)
class KernelClock:
    """Seconds. `offset` is what is still being corrected; `estimated_error` and `max_error` bound the rest."""

    synchronised: bool
    offset: float
    estimated_error: float
    max_error: float


def kernel_clock() -> KernelClock:
    """Raises OSError where the system call is missing or not allowed (not Linux, some sandboxes)."""
    if sys.platform != "linux":
        raise OSError(f"{sys.platform} has no adjtimex")
    libc, timex = ctypes.CDLL(None, use_errno=True), _Timex()
    state = libc.adjtimex(ctypes.byref(timex))
    if state < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return KernelClock(
        synchronised=state != _TIME_ERROR and not timex.status & _STA_UNSYNC,
        offset=timex.offset / (1e9 if timex.status & _STA_NANO else 1e6),
        estimated_error=timex.esterror / 1e6,
        max_error=timex.maxerror / 1e6,
    )
