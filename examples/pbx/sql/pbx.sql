-- Organizations, their people and extensions, and calls. Times are milliseconds since 1970.

CREATE TABLE organizations (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL,
    revision INTEGER NOT NULL DEFAULT 1 -- grows with each change of a call
);

CREATE TABLE people (
    user_id         INTEGER PRIMARY KEY REFERENCES users,
    organization_id INTEGER REFERENCES organizations, -- NULL: an operator's
    role            TEXT NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'admin', 'operator')),
    active          INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE extensions (
    id              INTEGER PRIMARY KEY,
    organization_id INTEGER NOT NULL REFERENCES organizations,
    number          TEXT NOT NULL,
    user_id         INTEGER REFERENCES users,
    UNIQUE (organization_id, number)
);
CREATE INDEX extensions_of ON extensions (user_id);

-- Numbers that can be called from outside.
CREATE TABLE dids (
    id           INTEGER PRIMARY KEY,
    extension_id INTEGER NOT NULL REFERENCES extensions,
    number       TEXT NOT NULL UNIQUE -- E.164
);

-- Ids of others are text: a publisher of other programs has ids of its own for numbers and extensions.
CREATE TABLE calls (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id    INTEGER NOT NULL REFERENCES organizations,
    call_id            TEXT NOT NULL,
    from_number        TEXT NOT NULL,
    to_number          TEXT NOT NULL,
    did_id             TEXT NOT NULL,
    extension_id       TEXT, -- that has answered
    status             TEXT NOT NULL CHECK (status IN ('initiated', 'answered', 'completed', 'no_answer', 'busy', 'failed', 'canceled')),
    initiated_at       INTEGER NOT NULL,
    answered_at        INTEGER,
    ended_at           INTEGER,
    duration           INTEGER NOT NULL DEFAULT 0, -- whole seconds from answered to ended
    -- The organization's, when it came so far.
    initiated_revision INTEGER NOT NULL,
    answered_revision  INTEGER,
    ended_revision     INTEGER,
    UNIQUE (organization_id, call_id)
);
CREATE INDEX calls_active ON calls (organization_id) WHERE ended_at IS NULL;
CREATE INDEX calls_of ON calls (organization_id, id);
CREATE INDEX calls_from ON calls (organization_id, from_number);
CREATE INDEX calls_to ON calls (organization_id, to_number);
CREATE INDEX calls_named ON calls (call_id);

-- Each event of the provider counts once.
CREATE TABLE provider_events (
    event_id TEXT PRIMARY KEY,
    at       INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX provider_events_at ON provider_events (at);

-- Tokens that pages have from a session by cookie: they end with it.
CREATE TABLE page_tokens (
    token_hash TEXT PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
    parent     TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX page_tokens_of ON page_tokens (parent);
CREATE TRIGGER page_tokens_end AFTER DELETE ON page_tokens BEGIN
    DELETE FROM sessions WHERE token_hash = old.token_hash;
END;
