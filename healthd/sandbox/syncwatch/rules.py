"""The alert rules of SyncWatch, named as its operations guide and playbooks name them."""

from __future__ import annotations

from healthd.sandbox.parts.monitoring.rules import Rule

RULES = (
    Rule("SiteDown", 'up{job="syncwatch"} == 0', "critical", "SyncWatch is completely unavailable"),
    Rule("DatabaseDown", "syncwatch_database_up == 0", "critical", "PostgreSQL database is unreachable"),
    Rule("RedisDown", "syncwatch_redis_up == 0", "high", "Redis cache is unreachable"),
    Rule(
        "HighPlaybackDrift",
        'max(syncwatch_playback_drift_ms{quantile="0.95"}) > 300',
        "high",
        "Viewers are more than 300 ms apart",
    ),
    Rule("TranscodingBacklog", "syncwatch_transcoding_queue_depth > 10", "medium", "More than 10 jobs wait"),
    Rule(
        "DatabaseConnectionPoolFull",
        "syncwatch_database_connections / syncwatch_database_connections_max > 0.95",
        "critical",
        "More than 95% of the database's connections are in use",
    ),
    Rule("RedisMemoryHigh", "redis_memory_used_bytes / redis_memory_max_bytes > 0.8", "high", "Redis is over 80% full"),
    Rule(
        "HighErrorRate",
        'sum(rate(http_requests_total{status=~"5.."}[5s])) / sum(rate(http_requests_total[5s])) > 0.01',
        "high",
        "More than 1% of requests fail",
    ),
    Rule(
        "DiskSpaceLow",
        "1 - node_filesystem_avail_bytes / node_filesystem_size_bytes > 0.8",
        "high",
        "A disk is over 80% full",
    ),
    Rule(
        "DiskSpaceFull",
        "1 - node_filesystem_avail_bytes / node_filesystem_size_bytes > 0.9",
        "critical",
        "A disk is over 90% full",
    ),
    # documented nowhere else: an alert that no other check explains
    Rule("TurnServerDown", "syncwatch_turn_server_up == 0", "medium", "The TURN server does not answer"),
)
