"""Fixtures of the whole suite: real servers, one per worker, on loopback."""

from importlib.util import find_spec

# each module holds one server's class and its fixtures
pytest_plugins = [
    name
    for name in (
        "tests.servers.docker",
        "tests.servers.kubelet",
        "tests.servers.kubernetes",
        "tests.servers.aws",
        "tests.servers.nginx",
        "tests.servers.postgres",
        "tests.servers.prometheus",
        "tests.servers.receiver",
        "tests.servers.redis",
    )
    if find_spec(name)
]
