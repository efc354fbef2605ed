"""The Docker engine of an emulated production: what it holds, and the API that shows it."""

from healthd.sandbox.parts.docker.containers import Container, State
from healthd.sandbox.parts.docker.engine import Engine
from healthd.sandbox.parts.docker.images import CacheEntry, Image, Volume

__all__ = ["CacheEntry", "Container", "Engine", "Image", "State", "Volume"]
