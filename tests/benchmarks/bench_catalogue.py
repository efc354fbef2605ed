"""What loading 5,000 checks costs, against PyYAML's C parser reading the same files into plain values.

python -m tests.benchmarks.bench_catalogue
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from healthd.model.catalogue import Catalogue
from tests.benchmarks.table import Row, print_rows
from tests.pure.catalogue_samples import read, write

SYSTEMS, CHECKS = 10, 500
_SYSTEM = """
system: {title: Benchmark, timezone: Europe/Berlin}
severities: {SEV1: {response: 15m}, SEV2: {}, SEV3: {}}
cadences: {morning: {on: daily, at: "09:00"}, continuous: {every: 60s}}
thresholds: {answer: {measure: latency, warning: ">= 500ms", critical: ">= 1s", for: 5m}}
playbooks: {restart: {title: Restart it, remediation: [{title: Restart, command: systemctl restart it}]}}
"""
_CHECK = """
  - name: check-{n}
    title: Number {n}
    cadence: [morning, continuous]
    probe: {{type: web, url: "http://127.0.0.1:8080/{n}?${{SUFFIX:-a}}", port: 8080, headers: {{Accept: text/plain}}}}
    thresholds:
      - answer
      - {{measure: size, target: "< {n}kB", acceptable: "< 900MB", warning: ">= 1GB", critical: ">= 2GB", for: 5m}}
    severity: SEV2
    playbook: restart
    labels: {{team: platform}}
    covers: [runbook/daily-{n}]
"""


def run() -> list[Row]:
    """CPU of the best of three rounds each."""
    with tempfile.TemporaryDirectory() as name:
        folder = _files(Path(name))
        parse = _best(lambda: [yaml.load(f.read_bytes(), yaml.CSafeLoader) for f in folder.rglob("*.yaml")])
        load = _best(lambda: _loaded(folder))
    what = f"catalogue: CPU to load {SYSTEMS * CHECKS} checks"
    return [Row(what, f"{load:.2f} s", f"{parse:.2f} s (CSafeLoader)", f"{load / parse:.2f}", "value < 3 s")]


def _files(folder: Path) -> Path:
    files: dict[str, str | bytes] = {}
    for system in range(SYSTEMS):
        files[f"s{system}/system.yaml"] = _SYSTEM
        checks = "".join(_CHECK.format(n=n) for n in range(1, CHECKS + 1))
        files[f"s{system}/checks.yaml"] = f"checks:{checks}".encode()
    return write(folder, files)


def _loaded(folder: Path) -> Catalogue:
    catalogue = read(folder)
    if len(catalogue.checks) != SYSTEMS * CHECKS:
        raise RuntimeError("not everything was loaded")
    return catalogue


def _best(work: Callable[[], object], rounds: int = 3) -> float:
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


if __name__ == "__main__":
    print_rows(run())
