"""Where rules.yaml is needed once more: in the chart, and as an object of the Prometheus operator.

python -m deploy.prometheus.build
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
CHART_COPY = HERE.parent / "helm/healthd/files/rules.yaml"
OBJECT = HERE.parent / "kubernetes/components/monitoring/prometheusrule.yaml"
HEAD = """# Made of deploy/prometheus/rules.yaml by python -m deploy.prometheus.build
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: healthd
spec:
"""


def files() -> dict[Path, str]:
    """What each is to hold."""
    rules = (HERE / "rules.yaml").read_text(encoding="utf-8")
    spec = "".join(f"  {line}" if line.strip() else line for line in rules.splitlines(keepends=True))
    return {CHART_COPY: rules, OBJECT: HEAD + spec}


def main() -> None:
    """Write them."""
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
