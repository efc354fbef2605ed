"""An incident opens, and what its playbook would have a person look at is looked at by then."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import redis

from tests.component.kubernetes.objects import rollout, workload
from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon
from tests.servers.kubernetes import KubeServer
from tests.servers.nginx import NginxServer
from tests.servers.postgres import PostgresServer
from tests.servers.process import free_port
from tests.servers.receiver import Receiver
from tests.servers.redis import RedisServer

SECRET = "whsec_" + "c2VjcmV0" * 4


def shop(front: str, steps: str, more: str = "") -> str:
    return f"""\
system: {{name: shop, title: Shop}}
severities: {{SEV1: {{}}, SEV3: {{}}}}
playbooks:
  web-down:
    title: The shop does not answer
    likely_cause: anything
    diagnostics:
{steps}
    remediation: [Restart it]
checks:
  - name: web
    title: The shop answers
    every: 1s
    timeout: 900ms
    probe: {{type: http, url: "{front}"}}
    severity: SEV1
    warning_severity: SEV3
    playbook: web-down
{more}"""


def told(receiver: Receiver, count: int, timeout: float = 15) -> list[dict[str, Any]]:
    return [request.json["data"] for request in receiver.wait_for(count, timeout=timeout)]


def updates(receiver: Receiver) -> Iterator[dict[str, Any]]:
    bodies = (request.json["data"] for request in receiver.to("/hook"))
    return (body for body in bodies if body["event"] == "updated")


def improved(receiver: Receiver) -> list[dict[str, Any]]:
    bodies = (request.json["data"] for request in receiver.to("/hook"))
    return [body["incident"] for body in bodies if body["event"] == "improved"]


def only_incident(daemon: Daemon) -> dict[str, Any]:
    (found,) = daemon.get("/api/v1/incidents?open=true")["incidents"]
    return dict(daemon.get(f"/api/v1/incidents/{found['id']}"))


def test_what_real_servers_say_follows_the_first_message(
    new_daemon: NewDaemon, nginx: NginxServer, postgres: PostgresServer, redis_server: RedisServer, receiver: Receiver
) -> None:
    client = redis.Redis.from_url(redis_server.url)
    client.config_set("maxmemory", int(client.info("memory")["used_memory"] / 0.9))
    steps = f"""\
      - {{title: Connections, command: psql, probe: {{type: postgres_connections, url: "{postgres.url()}"}},
         thresholds: {{measure: ratio, critical: ">= 100%"}}, finding: no connection is left}}
      - title: Memory of Redis
        probe: {{type: redis_memory, url: "{redis_server.url}"}}
        thresholds: {{measure: ratio, critical: "> 80%"}}
        finding: "Redis uses {{value}} of its memory (limit {{limit}})"
        suggest: "redis-cli CONFIG SET maxmemory 8mb  # was {{value}}"
      - {{title: The other site, probe: {{type: http, url: "{nginx.url}/"}}}}
      - {{title: Queue, check: queue}}
      - {{title: Month, check: monthly}}
      - {{title: What needs the shop, check: needs-it}}
      - {{title: Search, probe: {{type: redis, url: "redis://:hunter2@127.0.0.1:1"}}}}
      - {{title: Ask whoever deployed last}}
"""
    queue = f"""\
  - {{name: queue, every: 1h, probe: {{type: redis_length, url: "{redis_server.url}", key: mail}},
     thresholds: {{measure: length, critical: "> 10"}}}}
  - {{name: monthly, cron: "0 9 1 1 *", probe: {{type: redis_length, url: "{redis_server.url}", key: mail}},
     thresholds: {{measure: length, critical: "< 10"}}}}
  - {{name: needs-it, cron: "0 9 1 1 *", depends_on: [web], probe: {{type: tcp, host: 127.0.0.1, port: 1}}}}
"""
    url = f"http://127.0.0.1:{free_port()}/"
    daemon = new_daemon(shop(url, steps, queue), webhook_url=receiver.url, webhook_secret=SECRET).start()
    try:
        first, second = told(receiver, 2)
    finally:
        client.config_set("maxmemory", "0")
        client.close()
    assert (first["event"], first["diagnosis"]) == ("firing", None)
    assert (second["event"], second["update"]["kind"]) == ("updated", "diagnosed")
    assert second["incident"]["id"] == first["incident"]["id"]
    found = second["diagnosis"]
    assert (found["steps"], found["answered"]) == (7, 7)
    assert found["seconds"] < 30
    memory, month, search = found["findings"]
    assert month["text"] == "Month: length 0, limit < 10"
    assert memory["text"].startswith("Redis uses ")
    assert memory["text"].endswith("of its memory (limit > 80%)")
    assert memory["command"].startswith("redis-cli CONFIG SET maxmemory 8mb  # was ")
    assert "{value}" not in str(second)
    assert "connection refused" in search["text"]
    by_title = {r["title"]: r for r in found["results"]}
    others = ["Queue", "Month", "What needs the shop", "Search"]
    assert list(by_title) == ["Connections", "Memory of Redis", "The other site", *others]
    assert by_title["What needs the shop"]["level"] == "critical", "and no finding: it follows from what fails"
    assert by_title["Connections"]["level"] == "ok"
    assert "used" in by_title["Connections"]["text"]
    assert "length 0" in by_title["Queue"]["text"]
    assert "hunter2" not in str(second)
    incident = only_incident(daemon)  # a calendar's check opens none out of its time
    assert daemon.metric("healthd_check_runs_total", check="monthly", status="critical") == 0
    assert incident["diagnosis"] == found
    (entry,) = [e for e in incident["timeline"] if e["kind"] == "diagnosed"]
    assert entry["text"].startswith("diagnosed: 7 of 7 steps answered in ")
    page = daemon.http.get(f"/incidents/{incident['id']}").text
    assert memory["text"].replace(">", "&gt;") in page
    assert "# was " in page


def test_a_step_that_hangs_holds_up_nothing_and_a_restart_begins_again(
    new_daemon: NewDaemon, nginx: NginxServer, receiver: Receiver
) -> None:
    receiver.script(["hang"] * 20, path="/slow")
    steps = f"""\
      - {{title: Slow, timeout: 2s, probe: {{type: http, url: "{receiver.url}/slow"}}}}
      - {{title: Quick, probe: {{type: http, url: "{nginx.url}/"}}}}
"""
    url = f"http://127.0.0.1:{free_port()}/"
    daemon = new_daemon(shop(url, steps), webhook_url=receiver.url + "/hook", webhook_secret=SECRET).start()
    receiver.wait_for(1, path="/slow")
    assert [r.json["data"]["event"] for r in receiver.wait_for(1, path="/hook")] == ["firing"]
    daemon.stop(signal.SIGKILL)
    daemon.start()
    began = time.monotonic()
    second = daemon.until(lambda: next(updates(receiver), None), what="diagnosed")
    assert time.monotonic() - began < 20
    slow, quick = second["diagnosis"]["results"]
    # that nothing answered is the probe's to say, or on a busy machine its runner's
    assert slow["level"] == "critical" or slow["error"]
    assert (quick["level"], quick["error"]) == ("ok", "")
    before = only_incident(daemon)["diagnosis"]
    assert daemon.stop() == 0
    daemon.start()
    daemon.until(lambda: daemon.metric("healthd_check_status", check="web") == 2, what="looked at again")
    assert only_incident(daemon)["diagnosis"] == before
    assert len({r.headers["webhook-id"] for r in receiver.to("/hook")}) == 2


def test_a_playbook_can_be_tried_without_an_incident(
    new_daemon: NewDaemon, nginx: NginxServer, redis_server: RedisServer
) -> None:
    steps = f"""\
      - {{title: Site, probe: {{type: http, url: "{nginx.url}/"}}}}
      - {{title: Queue, check: queue, finding: "{{value}} wait", suggest: drain}}
      - {{title: Off, check: off}}
      - {{title: Think}}
"""
    off = "  - {name: off, every: 1h, enabled: false, probe: {type: load}, thresholds: {measure: load1, target: <9}}\n"
    queue = f"""\
  - {{name: queue, every: 1h, probe: {{type: redis_length, url: "{redis_server.url}", key: mail}},
     thresholds: {{measure: length, warning: "< 10"}}}}
"""
    daemon = new_daemon(shop("http://127.0.0.1:1/", steps, queue + off))
    for name in ("shop/web-down", "shop/web"):
        code, text = daemon.command("diagnose", name)
        assert text.splitlines()[0].startswith("Diagnosis (2 of 2 steps answered in ")
        assert "  likely cause: 0 wait\n    $ drain\n  ok: Site: " in text
        assert code == 1
    code, text = daemon.command("diagnose", "shop/web-dwon")
    assert (code, "did you mean shop/web-down?" in text) == (3, True)
    code, text = daemon.command("diagnose", "shop/queue")
    assert (code, text) == (3, "the check shop/queue names no playbook\n")


def test_a_fresh_deployment_is_the_first_suspect(new_daemon: NewDaemon, kube: KubeServer, receiver: Receiver) -> None:
    namespace = kube.namespace()
    running = {"replicas": 3, "availableReplicas": 3, "readyReplicas": 3, "updatedReplicas": 3, "observedGeneration": 1}
    for name, since in (("backend", 12), ("frontend", 60 * 24)):
        made = workload("Deployment", name, namespace, replicas=3)
        kube.create(made, {**running, "conditions": rollout(timedelta(minutes=since))})
    steps = f"""\
      - title: Recent deployments
        probe: {{type: kubernetes_deployments, namespace: {namespace}, kubeconfig: "{kube.kubeconfig()}"}}
        thresholds: {{measure: rollout_age, critical: "< 30m", missing: ok}}
        finding: "{{series}} was deployed {{value}} ago: roll back?"
        suggest: kubectl rollout undo deployment/{{series}} -n {namespace}
"""
    url = f"http://127.0.0.1:{free_port()}/"
    daemon = new_daemon(
        shop(url, steps), webhook_url=receiver.url + "/hook", webhook_secret=SECRET,
        pagerduty_url=receiver.url + "/pagerduty", pagerduty_routing_key="0" * 32,
    ).start()  # fmt: skip
    told = daemon.until(lambda: next(updates(receiver), None), what="diagnosed")
    (finding,) = told["diagnosis"]["findings"]
    assert finding["text"].startswith("backend was deployed 12m ")
    assert finding["text"].endswith(" ago: roll back?")
    command = f"kubectl rollout undo deployment/backend -n {namespace}"
    assert finding["command"] == command
    assert told["first_step"]["command"] == command
    assert finding["text"] in [fact["text"] for fact in told["lead"]]

    def alerts() -> list[Any]:  # beside them the rollout itself is sent, as a change event
        return [r.json for r in receiver.to("/pagerduty") if "dedup_key" in r.json]

    daemon.until(lambda: len(alerts()) >= 2, what="told to PagerDuty")
    first, second = alerts()[:2]
    assert (second["event_action"], second["dedup_key"]) == ("trigger", first["dedup_key"])
    assert command in str(second["payload"]["custom_details"])


def test_what_gets_worse_is_looked_at_again(
    new_daemon: NewDaemon, redis_server: RedisServer, receiver: Receiver
) -> None:
    catalogue = f"""\
system: {{name: shop}}
severities: {{SEV1: {{}}, SEV3: {{}}}}
defaults: {{probe: {{redis_length: {{url: "{redis_server.url}", key: worse}}}}}}
playbooks:
  queue:
    diagnostics: [{{title: Length, probe: {{type: redis_length}}, thresholds: {{measure: length, critical: "> 0"}}}}]
checks:
  - {{name: queue, title: Queue, every: 1s, probe: {{type: redis_length}}, severity: SEV1, warning_severity: SEV3,
     playbook: queue, thresholds: {{measure: length, warning: "> 0", critical: "> 5"}}}}
  - {{name: other, title: Other queue, every: 1s, probe: {{type: redis_length, key: other}}, warning_severity: SEV3,
     playbook: queue, thresholds: {{measure: length, warning: "> 3"}}}}
"""
    client = redis.Redis.from_url(redis_server.url)
    daemon = new_daemon(catalogue, webhook_url=receiver.url + "/hook", webhook_secret=SECRET).start()

    def found() -> list[str]:
        open_ = daemon.get("/api/v1/incidents?open=true")["incidents"]
        timeline = daemon.get(f"/api/v1/incidents/{open_[0]['id']}")["timeline"] if open_ else []
        return [e["text"].partition("; ")[2] for e in timeline if e["kind"] == "diagnosed"]

    try:
        client.rpush("worse", "a")
        daemon.until(lambda: found() == ["Length: length 1, limit > 0"], what="diagnosed")
        client.rpush("worse", *"bcdefg")
        daemon.until(lambda: len(found()) == 2, what="diagnosed again")
        assert found()[1] == "Length: length 7, limit > 0"
        assert only_incident(daemon)["severity"] == "SEV1"
        client.rpush("other", *"abcd")
        daemon.until(lambda: only_incident(daemon)["failing"] == 2, what="another joins")
        client.delete("worse")  # better is no reason to look again, nor is worse once more
        better = daemon.until(lambda: improved(receiver), what="told of")[0]
        assert (better["title"], better["reason"]) == ("Other queue", "length 4, limit > 3")  # of the one that is left
        client.rpush("worse", *"abcdefg")
        daemon.until(lambda: only_incident(daemon)["level"] == "critical", what="worse again")
        assert len(found()) == 2
    finally:
        client.delete("worse", "other")
        client.close()
