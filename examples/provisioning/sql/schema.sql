-- Servers that are set up step by step, what is installed on them later, and their logs. Times are seconds since 1970.

-- Numbers are not given twice: a channel of a server that is gone is no other server's.
CREATE TABLE servers (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id          INTEGER NOT NULL REFERENCES users,
    name             TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    provision_status TEXT NOT NULL DEFAULT 'pending' CHECK (provision_status IN ('pending', 'installing', 'completed', 'failed')),
    error            TEXT NOT NULL DEFAULT '',
    token_hash       TEXT NOT NULL DEFAULT '', -- of the machine that is set up
    revision         INTEGER NOT NULL DEFAULT 1, -- of all that belongs to it but logs, which have a size
    simulated        INTEGER NOT NULL DEFAULT 0, -- 1: there is no machine, the program plays it
    created_at       INTEGER NOT NULL DEFAULT (unixepoch())
);
CREATE INDEX servers_of ON servers (user_id);

CREATE TABLE step_names (
    step INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);
INSERT INTO step_names (name) VALUES ('Waiting for connection'), ('Checking the system'), ('Updating packages'),
    ('Swap and time'), ('Firewall'), ('PHP'), ('Nginx'), ('Database'), ('Scheduler and queue'), ('Finishing');

CREATE TABLE steps (
    server_id INTEGER NOT NULL REFERENCES servers ON DELETE CASCADE,
    step      INTEGER NOT NULL REFERENCES step_names,
    status    TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'installing', 'completed', 'failed')),
    PRIMARY KEY (server_id, step)
) WITHOUT ROWID;
CREATE TRIGGER servers_get_steps AFTER INSERT ON servers BEGIN
    INSERT INTO steps (server_id, step) SELECT new.id, step FROM step_names;
END;

CREATE TABLE sites (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    server_id INTEGER NOT NULL REFERENCES servers ON DELETE CASCADE,
    name      TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 120)
);
CREATE INDEX sites_of ON sites (server_id);

-- What has a progress: a package, a database, a deployment of a site.
CREATE TABLE works (
    id        INTEGER PRIMARY KEY,
    server_id INTEGER NOT NULL REFERENCES servers ON DELETE CASCADE,
    site_id   INTEGER REFERENCES sites ON DELETE CASCADE,
    kind      TEXT NOT NULL CHECK (kind IN ('packages', 'databases', 'deployment')),
    name      TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    progress  INTEGER NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100) -- per cent
);
CREATE INDEX works_of ON works (server_id, kind);

CREATE TABLE tasks (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    server_id    INTEGER NOT NULL REFERENCES servers ON DELETE CASCADE,
    name         TEXT NOT NULL,
    due_at       INTEGER NOT NULL,
    completed_at INTEGER -- NULL: it runs
);
CREATE INDEX tasks_of ON tasks (server_id);

-- A log is a list of chunks of whole lines. Offsets are bytes from its beginning; what is old is removed.
CREATE TABLE logs (
    server_id INTEGER NOT NULL REFERENCES servers ON DELETE CASCADE,
    name      TEXT NOT NULL CHECK (name IN ('provision', 'deployment')),
    size      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (server_id, name)
) WITHOUT ROWID;
CREATE TABLE chunks (
    server_id INTEGER NOT NULL,
    name      TEXT NOT NULL,
    start     INTEGER NOT NULL,
    text      TEXT NOT NULL,
    PRIMARY KEY (server_id, name, start),
    FOREIGN KEY (server_id, name) REFERENCES logs ON DELETE CASCADE
);
CREATE TRIGGER servers_get_logs AFTER INSERT ON servers BEGIN
    INSERT INTO logs (server_id, name) VALUES (new.id, 'provision'), (new.id, 'deployment');
END;
