"""RDS' log files: listed, and downloaded portion by portion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from healthd.sandbox.parts.aws.wire import Refusal

_PORTION = 1_000_000  # characters


@dataclass(frozen=True, slots=True)
class _File:
    text: str
    ago: float  # seconds since it was last written, whenever it is asked


class DatabaseLogs:
    """Answers for the instances whose files were put here."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._files: dict[str, dict[str, _File]] = {}

    def put(self, instance: str, name: str, text: str, ago: float = 60) -> None:
        """Write a file. "{now}" in `text` becomes the time it was last written, as PostgreSQL writes it."""
        self._files.setdefault(instance, {})[name] = _File(text, ago)

    def knows(self, parameters: Mapping[str, Any]) -> bool:
        """Whether the instance asked for has files here."""
        return parameters.get("DBInstanceIdentifier") in self._files

    def describe_db_log_files(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Files of an instance, by part of their names and by when they were written."""
        part, since = parameters.get("FilenameContains", ""), int(parameters.get("FileLastWritten", 0))
        listed = [
            {"LogFileName": name, "LastWritten": self._written(file), "Size": len(file.text)}
            for name, file in sorted(self._files[parameters["DBInstanceIdentifier"]].items())
            if part in name and self._written(file) >= since
        ]
        return {"DescribeDBLogFiles": listed}

    def download_db_log_file_portion(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """A portion from the marker on."""
        file = self._files[parameters["DBInstanceIdentifier"]].get(parameters["LogFileName"])
        if file is None:
            raise Refusal("DBLogFileNotFoundFault", f"DBLog File {parameters['LogFileName']} not found.", 404)
        stamp = datetime.fromtimestamp(self._written(file) / 1000, self._clock().tzinfo)
        text = file.text.replace("{now}", f"{stamp:%Y-%m-%d %H:%M:%S} UTC")
        start = int(parameters.get("Marker", 0))
        end = start + _PORTION
        return {
            "LogFileData": text[start:end],
            "Marker": str(min(end, len(text))),
            "AdditionalDataPending": end < len(text),
        }

    def _written(self, file: _File) -> int:
        return int((self._clock().timestamp() - file.ago) * 1000)
