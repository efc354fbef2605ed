"""What is looked at in the made-up company, and how each value goes up and down: the same for history and today."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zlib import crc32

DAY = 86_400.0


@dataclass(frozen=True)
class Course:
    """A value over time: a daily swing and some noise around a base that drifts by `drift` a day."""

    base: float
    swing: float = 0.0
    noise: float = 0.05
    drift: float = 0.0

    def at(self, moment: datetime, name: str, now: datetime) -> float:
        """`drift` counts back from `now`, where the base is reached."""
        days = moment.timestamp() / DAY
        rough = crc32(f"{name} {int(moment.timestamp() / 240)}".encode()) / 2**32 - 0.5
        course = self.base + self.drift * (moment - now).total_seconds() / DAY
        course += self.swing * math.sin((days - 0.3) * 2 * math.pi)
        return round(max(0.0, course + self.noise * self.base * 2 * rough), 4)


@dataclass(frozen=True)
class Look:
    """One check of one value. `unit` is what the value is written in; `broken` is the value while it fails."""

    system: str
    name: str
    title: str
    when: str
    measure: str
    unit: str
    course: Course
    limits: str
    severity: str
    playbook: str = ""
    covers: str = ""
    broken: float | None = None
    more: str = ""

    @property
    def id(self) -> str:
        return f"{self.system}/{self.name}"

    def yaml(self, url: str) -> str:
        unit = f', unit: "{self.unit}"' if self.unit else ""
        lines = [
            f"  - name: {self.name}",
            f"    title: {self.title}",
            f"    {self.when}",
            f'    probe: {{type: http, url: "{url}/{self.id}", '
            f'extract: {{{self.measure}: {{path: "$.value"{unit}}}}}}}',
            f"    thresholds: {{measure: {self.measure}, {self.limits}}}",
            f"    severity: {self.severity}",
            *([f"    playbook: {self.playbook}"] if self.playbook else []),
            *([f"    covers: [{self.covers}]"] if self.covers else []),
            *([f"    {self.more}"] if self.more else []),
        ]
        return "\n".join(lines) + "\n"


STEADY, MORNING = "every: 20s", "cadence: [morning, continuous]"
LOOKS = (
    Look("shop", "checkout", "Checkout answers in time", STEADY, "checkout_time", "ms", Course(310, 90, 0.12),
         'target: "< 500ms", warning: ">= 800ms", critical: ">= 2s"', "SEV1", "checkout-slow", "shop-guide/checkout",
         broken=2480, more="warning_severity: SEV3"),
    Look("shop", "search", "Search answers in time", STEADY, "search_time", "ms", Course(120, 30, 0.2),
         'target: "< 250ms", warning: ">= 400ms", critical: ">= 1s"', "SEV2", "", "shop-guide/search"),
    Look("shop", "orders-queue", "Orders waiting to be confirmed", MORNING, "waiting", "", Course(6, 3, 0.3),
         'target: "< 10", warning: "> 25", critical: "> 200"', "SEV2", "queue-stuck", "shop-guide/daily-1"),
    Look("shop", "error-rate", "Requests that end in an error", MORNING, "error_ratio", "%", Course(0.4, 0.1, 0.3),
         'target: "< 1%", warning: ">= 2%", critical: ">= 5%"', "SEV2", "checkout-slow", "shop-guide/daily-2",
         broken=3.1),
    Look("shop", "backup-age", "Age of the newest backup", "cadence: morning", "newest_age", "h", Course(5.2, 0, 0.1),
         'warning: "> 24h", critical: "> 36h"', "SEV2", "", "shop-guide/daily-3"),
    Look("shop", "certificate", "Certificate of shop.example", "cadence: morning", "days_left", "days",
         Course(41, 0, 0, -1), 'warning: "< 30d", critical: "< 7d"', "SEV3", "", "shop-guide/daily-4"),
    Look("shop", "disk", "Disk of the order database", MORNING, "used_ratio", "%", Course(76.5, 0.2, 0.002, 0.31),
         'target: "< 70%", warning: ">= 85%", critical: ">= 95%"', "SEV3", "disk-full", "shop-guide/daily-5"),
    Look("shop", "images", "Images in the delivery network", "cadence: evening", "hit_ratio", "%", Course(96, 1, 0.01),
         'target: ">= 95%", warning: "< 90%"', "SEV4", "", "shop-guide/evening-1"),
    Look("shop", "carts", "Abandoned carts reminded", "cadence: [evening]", "reminded", "", Course(840, 0, 0.1),
         'warning: "< 100"', "SEV4"),
    Look("payments", "gateway", "Payment gateway answers", STEADY, "authorise_time", "ms", Course(420, 60, 0.1),
         'target: "< 600ms", warning: ">= 900ms", critical: ">= 3s"', "P1"),
    Look("payments", "declined", "Declined payments", MORNING, "declined_ratio", "%", Course(3.1, 0.6, 0.15),
         'target: "< 5%", warning: ">= 8%", critical: ">= 20%"', "P2"),
    Look("payments", "settlement", "Settlement file of the night", "cadence: morning", "settled_age", "h",
         Course(4, 0, 0.2), 'warning: "> 8h", critical: "> 12h"', "P1"),
    Look("payments", "chargebacks", "Chargebacks to answer", "cadence: morning", "unanswered", "", Course(3, 0, 0.6),
         'warning: "> 10", critical: "> 25"', "P3"),
    Look("payments", "ledger", "Ledger agrees with the bank", "cadence: weekly", "difference", "", Course(0, 0, 0),
         'target: "= 0", critical: "> 0"', "P1"),
    Look("warehouse", "scanners", "Scanners online", STEADY, "online", "", Course(46, 1, 0.01),
         'target: ">= 44", warning: "< 40", critical: "< 30"', "high"),
    Look("warehouse", "pick-time", "Time to pick an order", MORNING, "pick_time", "m", Course(11, 3, 0.1),
         'target: "< 15m", warning: ">= 20m", critical: ">= 45m"', "low"),
    Look("warehouse", "stock-sync", "Stock told to the shop", "every: 1m", "sync_age", "s", Course(45, 10, 0.3),
         'target: "< 2m", warning: ">= 5m", critical: ">= 15m"', "high", "stock-sync", "", broken=420),
)  # fmt: skip
BY_ID: Mapping[str, Look] = {look.id: look for look in LOOKS}
