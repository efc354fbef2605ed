"""The emulated Social Live's tables and indexes, as its runbook asks them."""

USERS = 400
SESSIONS_TODAY = 150

ADD_USERS = f"""
INSERT INTO users (id, email) SELECT n, 'user' || n || '@example.com' FROM generate_series(1, {USERS}) AS n
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - numbers of our own
"""All users, as far as they are missing."""

ADD_POSTS_OF_TODAY = f"""
INSERT INTO posts (user_id, content, created_at)
    SELECT 1 + n % {USERS}, 'Hello ' || n, now() - interval '1 minute' * n FROM generate_series(1, 300) AS n
"""  # noqa: S608 - numbers of our own

FEED_INDEX = "idx_feed_recommendations ON feed_items (user_id, score DESC, created_at DESC)"

TABLES = f"""
CREATE TABLE users (id int PRIMARY KEY, email text UNIQUE NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE posts (
    id bigserial PRIMARY KEY, user_id int NOT NULL, content text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), deleted_at timestamptz
);
CREATE TABLE feed_items (
    id bigserial PRIMARY KEY, user_id int NOT NULL, score float NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE user_sessions (
    id bigserial PRIMARY KEY, user_id int NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
{ADD_USERS};
INSERT INTO posts (user_id, content, created_at)
    SELECT 1 + n % {USERS}, 'Post ' || n, now() - interval '1 hour' * (24 + n % 600) FROM generate_series(1, 6000) AS n;
{ADD_POSTS_OF_TODAY};
INSERT INTO feed_items (user_id, score) SELECT 1 + n % {USERS}, (n % 100) / 100.0 FROM generate_series(1, 4000) AS n;
INSERT INTO user_sessions (user_id, expires_at)
    SELECT n, now() + interval '7 days' FROM generate_series(1, {SESSIONS_TODAY}) AS n;
CREATE INDEX idx_posts_user_created ON posts (user_id, created_at DESC) WHERE deleted_at IS NULL;
CREATE INDEX idx_posts_created_at ON posts (created_at);
CREATE INDEX {FEED_INDEX};
"""  # noqa: S608 - numbers of our own

TABLE_NAMES = ("users", "posts", "feed_items", "user_sessions")
