"""Redis: whether it answers, what is in it, how full and how fast it is, whether its data would survive."""

from healthd.probes.redis.big_keys import RedisBigKeysProbe
from healthd.probes.redis.fields import RedisInfoProbe
from healthd.probes.redis.keys import RedisKeysProbe
from healthd.probes.redis.latency import RedisLatencyProbe
from healthd.probes.redis.length import RedisLengthProbe
from healthd.probes.redis.memory import RedisMemoryProbe
from healthd.probes.redis.persistence import RedisPersistenceProbe
from healthd.probes.redis.replication import RedisReplicationProbe
from healthd.probes.redis.server import RedisProbe
from healthd.probes.redis.slowlog import RedisSlowlogProbe
from healthd.probes.redis.stats import RedisStatsProbe

__all__ = [
    "RedisBigKeysProbe",
    "RedisInfoProbe",
    "RedisKeysProbe",
    "RedisLatencyProbe",
    "RedisLengthProbe",
    "RedisMemoryProbe",
    "RedisPersistenceProbe",
    "RedisProbe",
    "RedisReplicationProbe",
    "RedisSlowlogProbe",
    "RedisStatsProbe",
]
