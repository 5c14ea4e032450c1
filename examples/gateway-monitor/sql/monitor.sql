-- Sites, gateways and their points; what was read. Times are milliseconds since 1970.

CREATE TABLE sites (
    id   INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 50), -- a set of them is a number
    name TEXT NOT NULL
);

CREATE TABLE gateways (
    id            INTEGER PRIMARY KEY,
    site_id       INTEGER NOT NULL REFERENCES sites,
    name          TEXT NOT NULL CHECK (length(name) <= 60),
    ip_address    TEXT NOT NULL,
    active        INTEGER NOT NULL DEFAULT 1,
    success_count INTEGER NOT NULL DEFAULT 0,
    failure_count INTEGER NOT NULL DEFAULT 0,
    last_seen_ms  INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE data_points (
    id         INTEGER PRIMARY KEY,
    gateway_id INTEGER NOT NULL REFERENCES gateways,
    part       TEXT NOT NULL,
    label      TEXT NOT NULL,
    unit       TEXT NOT NULL,
    middle     REAL NOT NULL, -- of the simulation
    swing      REAL NOT NULL,
    dead_band  REAL NOT NULL, -- a change within it is no news
    high       REAL,          -- above it for delay_s: an alert, until it is below by hysteresis
    hysteresis REAL NOT NULL,
    delay_s    INTEGER NOT NULL
);
CREATE INDEX data_points_of ON data_points (gateway_id);

-- Who of the users may see what, and is told of alerts. Admins see everything, addresses included.
CREATE TABLE people (
    user_id INTEGER PRIMARY KEY REFERENCES users,
    admin   INTEGER NOT NULL
);
CREATE TABLE permissions (
    user_id     INTEGER NOT NULL REFERENCES users,
    site_id     INTEGER NOT NULL REFERENCES sites,
    responsible INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (user_id, site_id)
) WITHOUT ROWID;

-- A day of it. The points of one gateway stand together, because they are written and read together.
CREATE TABLE readings (
    gateway_id    INTEGER NOT NULL,
    read_at_ms    INTEGER NOT NULL,
    data_point_id INTEGER NOT NULL,
    id            INTEGER NOT NULL,
    raw_value     TEXT NOT NULL, -- registers, JSON
    scaled_value  REAL NOT NULL,
    quality       TEXT NOT NULL,
    PRIMARY KEY (gateway_id, read_at_ms, data_point_id)
) WITHOUT ROWID;

-- A month of it.
CREATE TABLE minutes (
    gateway_id    INTEGER NOT NULL,
    at_ms         INTEGER NOT NULL,
    data_point_id INTEGER NOT NULL,
    low           REAL NOT NULL,
    high          REAL NOT NULL,
    mean          REAL NOT NULL,
    PRIMARY KEY (gateway_id, at_ms, data_point_id)
) WITHOUT ROWID;

CREATE TABLE alerts (
    id                 INTEGER PRIMARY KEY,
    data_point_id      INTEGER NOT NULL REFERENCES data_points,
    rule               TEXT NOT NULL,
    severity           TEXT NOT NULL,
    value              REAL NOT NULL,
    limit_value        REAL NOT NULL,
    raised_at_ms       INTEGER NOT NULL,
    cleared_at_ms      INTEGER,
    acknowledged_by    INTEGER REFERENCES users,
    acknowledged_at_ms INTEGER
);
CREATE INDEX alerts_open ON alerts (data_point_id) WHERE cleared_at_ms IS NULL;
