-- Times are seconds since 1970. Everything that a page shows of an organization changes together with its
-- revision, so that a browser can ask "anything new since 17?".

CREATE TABLE IF NOT EXISTS settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS organizations (
    id       INTEGER PRIMARY KEY,
    slug     TEXT NOT NULL UNIQUE,
    name     TEXT NOT NULL,
    tagline  TEXT NOT NULL,
    revision INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE IF NOT EXISTS users (
    id       INTEGER PRIMARY KEY,
    email    TEXT NOT NULL UNIQUE,
    name     TEXT NOT NULL,
    password TEXT NOT NULL -- Argon2id, as crypto_pwhash_str() writes it
);

CREATE TABLE IF NOT EXISTS memberships (
    user_id         INTEGER NOT NULL REFERENCES users,
    organization_id INTEGER NOT NULL REFERENCES organizations,
    role            TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    PRIMARY KEY (user_id, organization_id)
);

-- Only the hash: who reads the database cannot take over a session.
CREATE TABLE IF NOT EXISTS sessions (
    token_hash TEXT PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES users,
    expires_at INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS services (
    id              INTEGER PRIMARY KEY,
    organization_id INTEGER NOT NULL REFERENCES organizations,
    group_name      TEXT NOT NULL,
    name            TEXT NOT NULL,
    description     TEXT NOT NULL,
    position        INTEGER NOT NULL,
    status          TEXT NOT NULL DEFAULT 'operational',
    created_at      INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS status_log (
    id         INTEGER PRIMARY KEY,
    service_id INTEGER NOT NULL REFERENCES services,
    old_status TEXT NOT NULL,
    new_status TEXT NOT NULL,
    message    TEXT NOT NULL,
    user_id    INTEGER REFERENCES users,
    at         INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS status_log_by_service ON status_log (service_id, at);
