"""A real Kubernetes API server with etcd on loopback, without controllers and kubelets.

with KubeServer(folder) as kube:
    kube.create(pod("web-1", "shop"), status={"phase": "Running"})
    kubeconfig = kube.kubeconfig()                       # may do everything
    viewer = kube.viewer(rules)                          # a user of its own who may do what the rules say
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.servers.process import Process, free_port

_PROJECT = Path(__file__).parents[2]
_USERS = 60
_PLURALS = {
    "Ingress": "ingresses", "NetworkPolicy": "networkpolicies", "APIService": "apiservices",
    "PodDisruptionBudget": "poddisruptionbudgets",
}  # fmt: skip
_CLUSTER_WIDE = {
    "Node", "Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "APIService",
    "PersistentVolume",
}  # fmt: skip


def api_server_binary() -> str:
    """What .ci/kube-apiserver has built. A test that needs it fails without it."""
    path = subprocess.run([_PROJECT / ".ci/kube-apiserver", "path"], capture_output=True, text=True, check=True)
    if not os.access(path.stdout.strip(), os.X_OK):
        pytest.fail(f"no kube-apiserver at {path.stdout.strip()}: run .ci/kube-apiserver, which builds one")
    return path.stdout.strip()


def etcd_binary() -> str:
    """etcd from PATH. A test that needs it fails without it."""
    if found := shutil.which("etcd"):
        return found
    pytest.fail("no etcd: install Debian's etcd-server (.ci/servers does)")


class KubeServer:
    """An API server and its etcd. The port, the users and the data stay the same over `stop` and `start`."""

    def __init__(self, folder: Path, *, args: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.args = folder, tuple(args)
        self.port, self._etcd_port, self._peer_port = free_port(), free_port(), free_port()
        self.tokens = {name: secrets.token_hex(16) for name in ("admin", *(f"user-{n}" for n in range(_USERS)))}
        self._etcd: Process | None = None
        self._server: Process | None = None
        self._viewers = 0
        self.authority = trustme.CA(key_type=trustme.KeyType.RSA)
        self._write_keys()
        self.client = httpx.Client(
            base_url=self.url, verify=ssl.create_default_context(cafile=str(folder / "ca.crt")), timeout=10,
            headers={"Authorization": f"Bearer {self.tokens['admin']}"}, trust_env=False,
        )  # fmt: skip

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> Self:
        if self._etcd is None or not self._etcd.running():
            self._start_etcd()
        self._start_server()
        return self

    def stop(self, sig: int = signal.SIGKILL) -> None:
        """End the API server; its data stays."""
        if self._server is not None:
            self._server.stop(sig)

    def close(self) -> None:
        """End both."""
        self.client.close()
        self.stop()
        if self._etcd is not None:
            self._etcd.stop(signal.SIGKILL)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def kubeconfig(self, user: str = "admin", *, token: str | None = None, server: str | None = None) -> str:
        """The path of a kubeconfig for that user."""
        known = token or self.tokens[user]
        path = self.folder / f"kubeconfig-{user}-{abs(hash((known, server))) % 10**8}"
        cluster = {"server": server or self.url, "certificate-authority": str(self.folder / "ca.crt")}
        path.write_text(
            json.dumps({
                "apiVersion": "v1", "kind": "Config", "current-context": "main",
                "clusters": [{"name": "main", "cluster": cluster}],
                "users": [{"name": user, "user": {"token": known}}],
                "contexts": [{"name": "main", "context": {"cluster": "main", "user": user}}],
            })
        )  # fmt: skip
        return str(path)

    def viewer(self, roles: Iterable[Mapping[str, Any]] = ()) -> str:
        """The kubeconfig of a user nobody else has, who may do what these Roles and ClusterRoles allow, no more."""
        user, self._viewers = f"user-{self._viewers}", self._viewers + 1
        for number, role in enumerate(roles):
            name = f"{user}-{number}"
            self.create({**role, "metadata": {**role["metadata"], "name": name}})
            self.create({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": f"{role['kind']}Binding",
                "metadata": {"name": name, **{k: v for k, v in role["metadata"].items() if k == "namespace"}},
                "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
                "roleRef": {"kind": role["kind"], "name": name, "apiGroup": "rbac.authorization.k8s.io"},
            })  # fmt: skip
            for rule in role["rules"]:
                self.wait_until_allowed(user, role["metadata"].get("namespace", ""), rule)
        return self.kubeconfig(user)

    def service_account(self, name: str, namespace: str) -> str:
        """The kubeconfig of a new service account, with a token as a pod has it."""
        place = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.request("POST", place, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
        wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        token = self.request("POST", f"{place}/{name}/token", wanted)["status"]["token"]
        return self.kubeconfig(f"{namespace}-{name}", token=token)

    def wait_until_allowed(self, user: str, namespace: str, rule: Mapping[str, Any], *, allowed: bool = True) -> None:
        """The server learns of new roles a moment after they are made."""
        resource, _, part = rule["resources"][0].partition("/")
        asked = {"verb": rule["verbs"][0], "group": rule["apiGroups"][0], "resource": resource, "subresource": part}
        asked |= {"namespace": namespace, "name": rule.get("resourceNames", [""])[0]}
        review = {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": asked},
        }  # fmt: skip
        for _ in range(500):
            answer = self.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
            if answer["status"]["allowed"] is allowed:
                return
            time.sleep(0.01)
        raise RuntimeError(f"{user} is {'not' if allowed else 'still'} allowed {asked}")

    def namespace(self) -> str:
        """The name of a new namespace."""
        name = f"ns-{secrets.token_hex(4)}"
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    def create(self, manifest: Mapping[str, Any], status: Mapping[str, Any] | None = None) -> Any:
        """Create the object and, with `status`, set that too. Its answer."""
        made = self.request("POST", collection(manifest), manifest)
        return made if status is None else self.set_status(made, status)

    def set_status(self, manifest: Mapping[str, Any], status: Mapping[str, Any]) -> Any:
        """Merge into the status of an object, as a controller or kubelet would."""
        path = f"{collection(manifest)}/{manifest['metadata']['name']}/status"
        return self.request("PATCH", path, {"status": status})

    def delete(self, manifest: Mapping[str, Any]) -> Any:
        return self.request("DELETE", f"{collection(manifest)}/{manifest['metadata']['name']}")

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One request as the administrator; anything but success is an error."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        answer = self.client.request(
            method, path, content=None if body is None else json.dumps(body), headers={"Content-Type": kind}
        )
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def _write_keys(self) -> None:
        self.authority.cert_pem.write_to_path(str(self.folder / "ca.crt"))
        served = self.authority.issue_cert("127.0.0.1", "localhost", key_type=trustme.KeyType.RSA)
        served.private_key_pem.write_to_path(str(self.folder / "server.key"))
        for number, pem in enumerate(served.cert_chain_pems):
            pem.write_to_path(str(self.folder / "server.crt"), append=number > 0)
        signing = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        (self.folder / "signing.key").write_bytes(signing)
        users = [f"{t},{n},{n}{',system:masters' if n == 'admin' else ''}" for n, t in self.tokens.items()]
        (self.folder / "tokens.csv").write_text("\n".join(users) + "\n")

    def _start_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        argv = [
            etcd_binary(), "--name=test", f"--data-dir={self.folder / 'etcd'}", "--log-level=warn",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=test={peer}", "--unsafe-no-fsync",
        ]  # fmt: skip
        self._etcd = Process(argv, self.folder / "etcd.log").start().wait_for_port(self._etcd_port)

    def _start_server(self) -> None:
        f = self.folder
        argv = [
            api_server_binary(), f"--etcd-servers=http://127.0.0.1:{self._etcd_port}", "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1", f"--secure-port={self.port}", f"--tls-cert-file={f}/server.crt",
            f"--tls-private-key-file={f}/server.key", f"--cert-dir={f}", f"--token-auth-file={f}/tokens.csv",
            f"--client-ca-file={f}/ca.crt", "--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={f}/signing.key", f"--service-account-key-file={f}/signing.key",
            "--api-audiences=https://kubernetes.default.svc", "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none", "--profiling=false",
        ]  # fmt: skip
        self._server = Process([*argv, *self.args], f / "apiserver.log").start()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if not self._server.running():
                raise RuntimeError(f"kube-apiserver ended:\n{(f / 'apiserver.log').read_text()[-2000:]}")
            try:
                if self.client.get("/readyz").text == "ok":
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise RuntimeError(f"kube-apiserver is not ready:\n{(f / 'apiserver.log').read_text()[-2000:]}")


def collection(manifest: Mapping[str, Any]) -> str:
    """The path under which objects of this kind are."""
    version, kind = manifest["apiVersion"], manifest["kind"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    plural = _PLURALS.get(kind, f"{kind.lower()}s")
    if kind in _CLUSTER_WIDE:
        return f"{root}/{plural}"
    return f"{root}/namespaces/{manifest['metadata']['namespace']}/{plural}"


@pytest.fixture(scope="session")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeServer]:
    """The worker's API server, shared by its tests: use namespaces of your own, do not stop it."""
    with KubeServer(tmp_path_factory.mktemp("kube")) as server:
        yield server
