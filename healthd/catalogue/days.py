"""Calendar rules in words ("first monday of quarter", "09:00") to cron expressions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from healthd.catalogue.cron import read_cron
from healthd.catalogue.problems import RefusedError, blaming, did_you_mean

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_FIXED = {
    "daily": ("*", "*", "*"),
    "day": ("*", "*", "*"),
    "weekdays": ("*", "*", "1-5"),
    "weekday": ("*", "*", "1-5"),
    "working days": ("*", "*", "1-5"),
    "weekends": ("*", "*", "0,6"),
    "weekend": ("*", "*", "0,6"),
    "weekly": ("*", "*", "1"),
    "week": ("*", "*", "1"),
    "monthly": ("1", "*", "*"),
    "month": ("1", "*", "*"),
    "quarterly": ("1", "1,4,7,10", "*"),
    "quarter": ("1", "1,4,7,10", "*"),
    "annually": ("1", "1", "*"),
    "yearly": ("1", "1", "*"),
    "year": ("1", "1", "*"),
}
_EXAMPLES = (
    "daily", "weekdays", "weekends", "monday", "monday and thursday", "first monday", "last friday", "15",
    "last day", "monthly", "quarterly", "first monday of quarter", "yearly", "1 march",
)  # fmt: skip
_TIME = re.compile(r"(\d{1,2}):(\d{2})")
_NUMBER = re.compile(r"(?:day )?(\d{1,2})(?:st|nd|rd|th)?")


@dataclass(frozen=True, slots=True)
class Days:
    """The last three fields of a cron expression."""

    day: str = "*"
    month: str = "*"
    weekday: str = "*"


def read_rule(on: str | int, at: tuple[str, ...]) -> tuple[str, ...]:
    """One cron expression per kind of day and time. Raises RefusedError."""
    crons = []
    for time in at:
        with blaming("at"):
            minute, hour = read_time(time)
        for days in read_days(on):
            expression = f"{minute} {hour} {days.day} {days.month} {days.weekday}"
            try:
                crons.append(read_cron(expression))
            except RefusedError:
                raise RefusedError(f"{str(on)!r} never comes", "no month named has such a day") from None
    return tuple(dict.fromkeys(crons))


def read_time(text: str) -> tuple[int, int]:
    """Minute and hour of "09:30". Raises RefusedError."""
    match = _TIME.fullmatch(text.strip())
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise RefusedError(f"{text!r} is not a time of day", 'expected 24-hour HH:MM, such as "09:30"')
    return int(match[2]), int(match[1])


def read_days(on: str | int) -> list[Days]:
    """The days meant by words. Raises RefusedError with the nearest form that is known."""
    text = " ".join(str(on).lower().replace(",", " and ").split())
    text = re.sub(r"^(on |every |each |the )+", "", text)
    if text in _FIXED:
        return [Days(*_FIXED[text])]
    if re.search(r"\b(other|bi-?weekly|fortnight\w*|\d+ weeks)\b", text):
        raise RefusedError(f"{str(on)!r} cannot be told by the calendar alone", 'expected e.g. "1st and 3rd monday"')
    head, _, tail = text.partition(" of ")
    words = [re.sub(r"^(on |every |each |the )+", "", part) for part in head.split(" and ") if part]
    days = _weekdays(words) or _dates(words)
    if days is None or not words:
        raise RefusedError(f"{str(on)!r} names no days", did_you_mean(text, _EXAMPLES, "expected one of"))
    return [_in_months(d, tail.strip(), ends=head.startswith("last")) for d in days] if tail else days


def _weekdays(words: list[str]) -> list[Days] | None:
    """ "monday and thursday", "first monday", "1st and 3rd monday" as one weekday field."""
    last = words[-1].split(" ")[-1] if words else ""
    fields = []
    for word in words:
        # "1st and 3rd monday": the weekday is said once, at the end
        full = word if _weekday(word.split(" ")[-1]) is not None else f"{word} {last}"
        ordinal, _, name = full.rpartition(" ")
        number, position = _weekday(name), _ordinal(ordinal)
        if number is None or position is None:
            return None
        fields.append(f"{number}{position}")
    return [Days(weekday=",".join(fields))]


def _weekday(word: str) -> int | None:
    word = word.removesuffix("s") if word not in ("thurs", "tues") else word
    matches = [i for i, name in enumerate(_WEEKDAYS) if len(word) >= 3 and name.startswith(word)]
    return matches[0] if len(matches) == 1 else None


def _ordinal(word: str) -> str | None:
    """The cron suffix of a position in the month: "" for every, "#1" for the first, "L" for the last."""
    if word in ("", "last"):
        return "L" if word else ""
    if word in _ORDINALS:
        return f"#{_ORDINALS.index(word) + 1}"
    match = re.fullmatch(r"([1-5])(st|nd|rd|th)", word)
    return f"#{match[1]}" if match else None


def _dates(words: list[str]) -> list[Days] | None:
    """ "15", "1st and 15th", "last day", "1 march", "march 1"."""
    days = [_date(word) for word in words]
    found = [d for d in days if d is not None]
    if len(found) < len(days):
        return None
    if all(d.month == "*" for d in found):
        return [Days(day=",".join(d.day for d in found))]
    return found


def _date(word: str) -> Days | None:
    if word in ("last day", "last"):
        return Days(day="L")
    if word in ("last weekday", "last working day"):
        return Days(day="LW")
    if word in ("first day", "first"):
        return Days(day="1")
    if match := _NUMBER.fullmatch(word):
        if not 1 <= int(match[1]) <= 31:
            raise RefusedError(f"there is no day {match[1]} in a month", "expected 1 to 31, or last day")
        return Days(day=str(int(match[1])))
    first, _, second = word.partition(" ")
    for number, name in ((first, second), (second, first)):
        month, match = _month(name), _NUMBER.fullmatch(number)
        if month and match:
            return Days(day=str(int(match[1])), month=str(month))
    return None


def _month(word: str) -> int | None:
    matches = [i for i, name in enumerate(_MONTHS, 1) if len(word) >= 3 and name.startswith(word)]
    return matches[0] if len(matches) == 1 else None


def _in_months(days: Days, tail: str, ends: bool) -> Days:
    tail = re.sub(r"^(the |each |every |a )+", "", tail)
    if tail in ("month", "months"):
        return days
    if tail in ("quarter", "quarters"):
        return Days(days.day, "3,6,9,12" if ends else "1,4,7,10", days.weekday)
    if tail in ("year", "years"):
        return Days(days.day, "12" if ends else "1", days.weekday)
    months = [_month(word) for word in tail.split(" and ")]
    if any(month is None for month in months):
        raise RefusedError(
            f"{tail!r} names no months", did_you_mean(tail, ("month", "quarter", "year", *_MONTHS), "expected")
        )
    return Days(days.day, ",".join(map(str, months)), days.weekday)
