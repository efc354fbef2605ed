"""Redis: whether it answers, how long its queues are, how full its memory is, what INFO says."""

from healthd.probes.redis.fields import RedisInfoProbe
from healthd.probes.redis.length import RedisLengthProbe
from healthd.probes.redis.memory import RedisMemoryProbe
from healthd.probes.redis.server import RedisProbe

__all__ = ["RedisInfoProbe", "RedisLengthProbe", "RedisMemoryProbe", "RedisProbe"]
