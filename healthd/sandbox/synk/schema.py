"""The emulated Synk's tables, as its operations guide asks them."""

USERS = 200  # active ones
ACTIVITY = 52_000  # rows, of the last 29 days

# `session` is what makes a dump as large as the guide expects backups to be (5 to 50 MB): noise does not compress
TABLES = f"""
CREATE TABLE accounts_user (id serial PRIMARY KEY, email text UNIQUE NOT NULL, is_staff boolean NOT NULL DEFAULT false);
CREATE TABLE api_activity (
    id bigserial PRIMARY KEY, user_id int NOT NULL, method text NOT NULL, path text NOT NULL, session text,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO accounts_user (email, is_staff)
    SELECT 'user' || n || '@example.com', n < 4 FROM generate_series(1, {USERS}) AS n;
INSERT INTO api_activity (user_id, method, path, session, created_at)
    SELECT 1 + n % {USERS}, 'GET', '/api/items/',
           md5(n || 'a') || md5(n || 'b') || md5(n || 'c') || md5(n || 'd') || md5(n || 'e'),
           now() - interval '29 days' * (1 - n / {ACTIVITY}.0)
      FROM generate_series(1, {ACTIVITY}) AS n;
CREATE INDEX api_activity_created_at ON api_activity (created_at);
"""  # noqa: S608 - numbers of our own

# Users that only the fault brings: their ids begin above all others.
NEWCOMERS = 10_000
"""Where the ids of a crowd begin."""
