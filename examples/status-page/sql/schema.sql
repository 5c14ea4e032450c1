-- Users and their sessions: common/sql/accounts.sql. Times are seconds since 1970. Everything that a page shows of an
-- organization changes together with its revision, so that a browser can ask "anything new since 17?".

CREATE TABLE IF NOT EXISTS organizations (
    id       INTEGER PRIMARY KEY,
    slug     TEXT NOT NULL UNIQUE,
    name     TEXT NOT NULL,
    tagline  TEXT NOT NULL,
    public   INTEGER NOT NULL DEFAULT 1, -- 0: only members may look
    revision INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE IF NOT EXISTS memberships (
    user_id         INTEGER NOT NULL REFERENCES users,
    organization_id INTEGER NOT NULL REFERENCES organizations,
    role            TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    PRIMARY KEY (user_id, organization_id)
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
