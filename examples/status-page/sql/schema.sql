-- Run at each start: tables that are there stay, views are made anew.
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
    public   INTEGER NOT NULL DEFAULT 1, -- 0: only members may look
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

-- What a service, an incident and a maintenance can be. The worst of an organization's services and open notices, by
-- rank, is the state of the whole.
CREATE TABLE IF NOT EXISTS statuses (
    name    TEXT PRIMARY KEY,
    kind    TEXT NOT NULL,
    rank    INTEGER NOT NULL,
    label   TEXT NOT NULL,
    overall TEXT -- if it is the worst
);
INSERT OR IGNORE INTO statuses VALUES
    ('operational', 'service', 0, 'Operational', 'All systems operational'),
    ('maintenance', 'service', 1, 'Maintenance', 'Maintenance under way'),
    ('degraded', 'service', 2, 'Degraded performance', 'Some systems are slow'),
    ('partial_outage', 'service', 3, 'Partial outage', 'Partial system outage'),
    ('major_outage', 'service', 4, 'Major outage', 'Major system outage'),
    ('investigating', 'incident', 0, 'Investigating', NULL),
    ('identified', 'incident', 1, 'Identified', NULL),
    ('monitoring', 'incident', 2, 'Monitoring', NULL),
    ('resolved', 'incident', 3, 'Resolved', NULL),
    ('scheduled', 'maintenance', 0, 'Scheduled', NULL),
    ('started', 'maintenance', 1, 'Under way', NULL),
    ('completed', 'maintenance', 2, 'Completed', NULL),
    ('cancelled', 'maintenance', 3, 'Cancelled', NULL);

CREATE TABLE IF NOT EXISTS services (
    id              INTEGER PRIMARY KEY,
    organization_id INTEGER NOT NULL REFERENCES organizations,
    group_name      TEXT NOT NULL CHECK (length(group_name) <= 120),
    name            TEXT NOT NULL CHECK (length(name) <= 120),
    description     TEXT NOT NULL CHECK (length(description) <= 120),
    position        INTEGER NOT NULL,
    public          INTEGER NOT NULL DEFAULT 1, -- 0: visitors do not hear of it
    status          TEXT NOT NULL DEFAULT 'operational' REFERENCES statuses,
    created_at      INTEGER NOT NULL
);

-- A notice is an incident or a maintenance: it has a story, and services that it affects while it lasts.
CREATE TABLE IF NOT EXISTS notices (
    id              INTEGER PRIMARY KEY,
    organization_id INTEGER NOT NULL REFERENCES organizations,
    kind            TEXT NOT NULL CHECK (kind IN ('incident', 'maintenance')),
    title           TEXT NOT NULL CHECK (length(title) <= 120),
    effect          TEXT NOT NULL REFERENCES statuses, -- on its services
    state           TEXT NOT NULL REFERENCES statuses,
    public          INTEGER NOT NULL DEFAULT 1, -- 0: only services that visitors do not hear of
    starts_at       INTEGER NOT NULL,
    ends_at         INTEGER -- of a maintenance: planned
);
CREATE INDEX IF NOT EXISTS notices_by_state ON notices (kind, state);

CREATE TABLE IF NOT EXISTS notice_services (
    notice_id  INTEGER NOT NULL REFERENCES notices,
    service_id INTEGER NOT NULL REFERENCES services,
    PRIMARY KEY (notice_id, service_id)
);

CREATE TABLE IF NOT EXISTS notice_updates (
    id        INTEGER PRIMARY KEY,
    notice_id INTEGER NOT NULL REFERENCES notices,
    state     TEXT NOT NULL REFERENCES statuses,
    message   TEXT NOT NULL CHECK (length(message) <= 2000),
    public    INTEGER NOT NULL DEFAULT 1, -- 0: an internal note
    user_id   INTEGER REFERENCES users,   -- NULL: it went by itself
    at        INTEGER NOT NULL,
    written   REAL NOT NULL DEFAULT (julianday('now')) -- orders what happens in one second
);
CREATE INDEX IF NOT EXISTS notice_updates_by_notice ON notice_updates (notice_id, id);

CREATE TABLE IF NOT EXISTS status_log (
    id         INTEGER PRIMARY KEY,
    service_id INTEGER NOT NULL REFERENCES services,
    old_status TEXT NOT NULL REFERENCES statuses,
    new_status TEXT NOT NULL REFERENCES statuses,
    message    TEXT NOT NULL CHECK (length(message) <= 2000),
    notice_id  INTEGER REFERENCES notices, -- NULL: changed by hand
    user_id    INTEGER REFERENCES users,
    at         INTEGER NOT NULL,
    written    REAL NOT NULL DEFAULT (julianday('now'))
);
CREATE INDEX IF NOT EXISTS status_log_by_service ON status_log (service_id, at);

-- What has happened, for the feed. What a notice did to services is told by the notice.
DROP VIEW IF EXISTS activity;
CREATE VIEW activity AS
    SELECT l.at, l.written, l.id, s.organization_id, s.public, s.name AS subject, l.new_status AS status,
        iif(l.old_status = l.new_status, NULL, a.label) AS old_label, b.label, l.message, l.user_id
    FROM status_log l JOIN services s ON s.id = l.service_id
    JOIN statuses a ON a.name = l.old_status JOIN statuses b ON b.name = l.new_status
    WHERE l.notice_id IS NULL
    UNION ALL
    SELECT u.at, u.written, u.id, n.organization_id, n.public AND u.public, n.title,
        iif(u.state IN ('resolved', 'completed', 'cancelled'), 'operational', n.effect),
        NULL, iif(u.public, s.label, 'Internal note'), u.message, u.user_id
    FROM notice_updates u JOIN notices n ON n.id = u.notice_id JOIN statuses s ON s.name = u.state;

-- The last 90 days, from the log. A service was in a state from one entry to the next, and operational before
-- the first. Of each day with trouble: x is 0 for the oldest..89, the status is the worst.
DROP VIEW IF EXISTS service_days;
CREATE VIEW service_days AS
    WITH RECURSIVE day (x, begins) AS (
        SELECT 0, unixepoch('now', 'start of day', '-89 days')
        UNION ALL SELECT x + 1, begins + 86400 FROM day WHERE x < 89),
    period AS (
        SELECT service_id, new_status AS status, at AS begins,
            lead(at, 1, unixepoch() + 1) OVER (PARTITION BY service_id ORDER BY at, id) AS ends
        FROM status_log)
    SELECT p.service_id, d.x, max(s.rank) AS rank, s.name AS status, s.label,
        date(d.begins, 'unixepoch') AS date,
        sum(min(p.ends, d.begins + 86400) - max(p.begins, d.begins)) AS trouble_s,
        sum(iif(s.rank >= 3, min(p.ends, d.begins + 86400) - max(p.begins, d.begins), 0)) AS outage_s
    FROM period p JOIN day d ON d.begins < p.ends AND d.begins + 86400 > p.begins
    JOIN statuses s ON s.name = p.status AND s.rank > 0
    GROUP BY p.service_id, d.x;
