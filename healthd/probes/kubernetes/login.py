"""Making a client that is logged in: as the pod healthd runs in, or as a kubeconfig says."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from errno import ENOENT
from importlib import import_module
from pathlib import Path
from typing import Any

from healthd.model.redact import Redactor
from healthd.probes.base import ProbeError
from healthd.probes.command.child import ChildError, run_child
from healthd.probes.kubernetes.params import ClusterParams

__all__ = ["Client", "log_in"]

Client = Any  # kubernetes.aio.client.ApiClient, which is untyped
_PLUGIN_OUTPUT_MAX = 1_000_000
_PLUGIN_GRACE = 1.0


async def log_in(params: ClusterParams, seconds: float) -> Client:
    """A client of one's own. `seconds` is what a credential plugin may take. Raises ProbeError (kind config)."""
    # about a second of work the first time: not on the event loop
    await asyncio.to_thread(import_module, "kubernetes.aio.config")
    client = import_module("kubernetes.aio.client")
    config = import_module("kubernetes.aio.config")
    yaml = import_module("yaml")
    settings = client.Configuration()
    unusable = (config.ConfigException, yaml.YAMLError, OSError, ValueError, LookupError, TypeError, AttributeError)
    try:
        if _in_cluster(params):
            config.load_incluster_config(client_configuration=settings)
        else:
            await _loader(params, seconds).load_and_set(settings)
        return await asyncio.to_thread(client.ApiClient, settings)
    except unusable as error:
        words = "it is no YAML" if isinstance(error, yaml.YAMLError) else _words(error)
        raise ProbeError(f"{_source(params)}: {words}", "config") from None


def _in_cluster(params: ClusterParams) -> bool:
    return params.kubeconfig is None and params.context is None and "KUBERNETES_SERVICE_HOST" in os.environ


def _kubeconfig(params: ClusterParams) -> str:
    return params.kubeconfig or os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())


def _source(params: ClusterParams) -> str:
    return "the pod's service account" if _in_cluster(params) else f"kubeconfig {_kubeconfig(params)}"


def _loader(params: ClusterParams, seconds: float) -> Any:
    """The library's loader, with credential plugins that end when they should and say why they failed."""
    module = import_module("kubernetes.aio.config.kube_config")

    class Loader(module.KubeConfigLoader):  # type: ignore[name-defined,misc]
        async def load_from_exec_plugin(self) -> bool:
            status = await _run_plugin(self._user["exec"].value, seconds)
            if "token" in status:
                self.token = f"Bearer {status['token']}"
            else:
                self.cert_file = _as_file(module, status, "clientCertificateData")
                self.key_file = _as_file(module, status, "clientKeyData")
            return True

    paths = _kubeconfig(params)
    if not any(Path(path).exists() for path in paths.split(os.pathsep)):
        raise FileNotFoundError(ENOENT, os.strerror(ENOENT))
    return Loader(module.KubeConfigMerger(paths).config, active_context=params.context, config_base_path=None)


def _as_file(module: Any, status: Mapping[str, Any], key: str) -> Any:
    return module.FileOrData(status, None, data_key_name=key, base64_file_content=False).as_file()


async def _run_plugin(plugin: Mapping[str, Any], seconds: float) -> Mapping[str, Any]:
    """The status of the ExecCredential a plugin prints. Raises ValueError saying why there is none."""
    argv = [plugin["command"], *(plugin.get("args") or ())]
    own = {entry["name"]: entry["value"] for entry in plugin.get("env") or ()}
    about = {"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": {"interactive": False}}
    env = {**os.environ, **own, "KUBERNETES_EXEC_INFO": json.dumps(about)}
    try:
        ended = await run_child(argv, env=env, cwd="/", timeout=seconds, grace=_PLUGIN_GRACE, keep=_PLUGIN_OUTPUT_MAX)
    except ChildError as error:
        raise ValueError(f"the credential plugin {argv[0]} was stopped: {error}") from None
    except OSError as error:
        raise ValueError(f"the credential plugin {argv[0]} cannot be run: {(error.strerror or '').lower()}") from None
    if ended.exit_code:
        said = Redactor(own.values())(ended.stderr.data.decode(errors="replace"))
        raise ValueError(f"the credential plugin {argv[0]} ended with {ended.exit_code}: {' '.join(said.split())}")
    try:
        status = json.loads(ended.stdout.data)["status"]
    except (ValueError, LookupError, TypeError):
        status = {}
    if not (status.get("token") or (status.get("clientCertificateData") and status.get("clientKeyData"))):
        raise ValueError(f"the credential plugin {argv[0]} gave no token and no certificate")
    return dict(status)


def _words(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    if isinstance(error, TypeError | AttributeError | LookupError):
        return "it does not say which server and user"
    # the library's words may end in a whole entry of the file, token included
    return " ".join(str(error).partition("{")[0].split())[:300] or type(error).__name__
