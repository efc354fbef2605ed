"""What PostgreSQL and Redis of SyncWatch hold, named as its documents name it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis.asyncio import Redis

TABLES = """
CREATE TABLE "User" (id serial PRIMARY KEY, email text UNIQUE NOT NULL, username text NOT NULL, password text NOT NULL);
CREATE TABLE "RefreshToken" (id serial PRIMARY KEY, "userId" int NOT NULL REFERENCES "User"(id), token text NOT NULL);
CREATE TABLE "Video" (id serial PRIMARY KEY, title text NOT NULL, "expiresAt" timestamptz NOT NULL);
CREATE TABLE "Watching" (id serial PRIMARY KEY, "userId" int NOT NULL, "videoId" int NOT NULL, at timestamptz NOT NULL);
CREATE VIEW users AS SELECT id, email, username FROM "User";
INSERT INTO "User" (email, username, password)
    SELECT 'user' || n || '@example.com', 'user' || n, md5('Test123!') FROM generate_series(1, 250) AS n;
INSERT INTO "Video" (title, "expiresAt")
    SELECT 'Video ' || n, now() + interval '72 hours' FROM generate_series(1, 40) AS n;
INSERT INTO "Watching" ("userId", "videoId", at)
    SELECT 1 + n % 250, 1 + n % 40, now() - n * interval '1 minute' FROM generate_series(1, 8000) AS n;
"""


async def rooms(redis: Redis) -> None:
    """The rooms that people are in."""
    for room in ("ABC12345", "TEST1234", "MOVIE777"):
        await redis.hset(f"room:{room}:playback", mapping={"position": 0, "playing": 1})
        await redis.sadd(f"room:{room}:participants", "user1", "user2", "user3")
