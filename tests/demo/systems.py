"""The made-up company's catalogue, in YAML."""

from __future__ import annotations

from tests.demo.courses import LOOKS

SHOP = """\
system:
  name: shop
  title: Shop
  timezone: Europe/Berlin
  description: The web shop, its orders and its database.
  runbook_url: https://runbook.example/shop
  links: {Dashboard: "https://grafana.example/shop"}
severities:
  SEV1: {title: Customers cannot buy, response: 15m, updates: 30m, pagerduty: critical}
  SEV2: {title: Customers notice, response: 1h, pagerduty: error}
  SEV3: {title: Nobody notices yet, response: 8h, pagerduty: warning}
  SEV4: {title: To be improved, pagerduty: info}
cadences:
  continuous: {every: 30s, title: All the time}
  morning: {on: daily, at: "07:30", title: Morning checks}
  evening: {on: daily, at: "18:00", title: Evening checks}
  monthly: {on: first monday, at: "10:00", title: Monthly review}
  sundays: {on: sunday, at: "02:00", title: Night of Sunday}
escalation:
  l1: {title: On-call engineer, after: {SEV1: 0s, SEV2: 0s}}
  l2: {title: Senior on-call, after: {SEV1: 30m, SEV2: 2h}}
attestations:
  restore-drill: {title: Restore the order database, cadence: monthly, who: on-call engineer, severity: SEV3,
                  description: "Into staging, by the playbook.", covers: [shop-guide/drill]}
  handover: {title: Handover read, cadence: morning, who: on-call engineer, severity: SEV4, due: 12h}
windows:
  database-upgrade: {title: Upgrade of the order database, cadence: sundays, duration: 2h}
playbooks:
  checkout-slow:
    title: Checkout is slow or fails
    url: https://runbook.example/shop/checkout
    likely_cause: the order database is busy, or a deployment just went out
    symptoms: ["Customers wait in the last step", "Orders per minute fall"]
    diagnostics:
      - {title: Does the search suffer too, check: search}
      - {title: Do orders pile up, check: orders-queue, finding: "{value} orders wait", suggest: "queue-admin pause"}
      - {title: What was deployed last, command: "kubectl rollout history deployment/checkout -n shop"}
    remediation:
      - {when: it was deployed just now, title: Roll it back, command: kubectl rollout undo deployment/checkout -n shop}
      - {when: the database is busy, title: Stop the nightly export, command: "systemctl stop export.timer"}
  queue-stuck:
    title: Orders are not confirmed
    diagnostics: [{title: Do workers run, command: "kubectl get pods -n shop -l app=orders"}]
    remediation: [{title: Restart the workers, command: "kubectl rollout restart deployment/orders -n shop"}]
  disk-full:
    title: A disk is filling up
    remediation: [{title: Delete old exports, command: "find /exports -mtime +30 -delete"}]
runbook:
  - document: shop-guide
    title: Operations guide of the shop
    source: https://runbook.example/shop
    items:
      - {id: checkout, heading: Around the clock, title: Checkout answers in time, fate: check, expect: under 500 ms}
      - {id: search, heading: Around the clock, title: Search answers in time, fate: check}
      - {id: daily-1, heading: Every morning / 1. Orders, title: Orders that wait, fate: check, cadence: morning}
      - {id: daily-2, heading: Every morning / 2. Errors, title: Error rate under 1 %, fate: check, cadence: morning}
      - {id: daily-3, heading: Every morning / 3. Backup, title: Backup of the night, fate: check, cadence: morning}
      - {id: daily-4, heading: Every morning / 4. Certificate, title: Days left, fate: check, cadence: morning}
      - {id: daily-5, heading: Every morning / 5. Disk, title: Disk of the database, fate: check, cadence: morning}
      - {id: evening-1, heading: Every evening, title: Images are cached, fate: check, cadence: evening}
      - {id: drill, heading: Every month, title: Restore the database, fate: attestation}
      - {id: load-test, heading: Every quarter, title: Load test before the season, fate: attestation}
"""
PAYMENTS = """\
system: {name: payments, title: Payments, timezone: Europe/London, runbook_url: "https://runbook.example/payments"}
severities:
  P1: {title: Money is lost, response: 5m, pagerduty: critical}
  P2: {title: Degraded, response: 1h, pagerduty: error}
  P3: {title: Minor, pagerduty: warning}
cadences:
  continuous: {every: 30s, title: All the time}
  morning: {on: daily, at: "06:00", title: Morning settlement}
  weekly: {on: monday, at: "08:00", title: Weekly reconciliation}
attestations:
  key-rotation: {title: Rotate the signing keys, cadence: weekly, who: security, severity: P3}
"""
WAREHOUSE = """\
system: {name: warehouse, title: Warehouse, timezone: America/New_York}
severities: {high: {title: Picking stops, pagerduty: critical}, low: {title: Slower than usual, pagerduty: warning}}
cadences:
  continuous: {every: 30s, title: All the time}
  morning: {on: daily, at: "05:00", title: Before the first shift}
playbooks:
  stock-sync:
    title: The shop does not hear of stock
    remediation: [{title: Start the export again, command: "systemctl restart stock-export"}]
"""
HEADS = {"shop": SHOP, "payments": PAYMENTS, "warehouse": WAREHOUSE}


def catalogues(url: str) -> dict[str, str]:
    """`system.yaml` of each system. `url` is where everything is looked at."""
    return {
        name: head + "checks:\n" + "".join(look.yaml(url) for look in LOOKS if look.system == name)
        for name, head in HEADS.items()
    }
