-- People of three roles, offices, tickets and what is written in them. Times are milliseconds since 1970.

CREATE TABLE offices (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 120)
);

CREATE TABLE people (
    user_id INTEGER PRIMARY KEY REFERENCES users,
    role    TEXT NOT NULL CHECK (role IN ('customer', 'agent', 'admin')),
    private INTEGER NOT NULL DEFAULT 0 -- 1: the office feed has initials only
);

-- Of agents; an agent may be in several.
CREATE TABLE office_people (
    office_id INTEGER NOT NULL REFERENCES offices,
    user_id   INTEGER NOT NULL REFERENCES people,
    PRIMARY KEY (office_id, user_id)
) WITHOUT ROWID;
CREATE INDEX offices_of ON office_people (user_id);

-- A ticket has two revisions and two times of its last change: an internal note moves only those that agents see.
CREATE TABLE tickets (
    id              INTEGER PRIMARY KEY,
    uuid            TEXT NOT NULL UNIQUE CHECK (length(uuid) = 36),
    subject         TEXT NOT NULL CHECK (length(subject) BETWEEN 1 AND 200),
    status          TEXT NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'pending', 'solved', 'closed')),
    priority        TEXT NOT NULL DEFAULT 'normal' CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    office_id       INTEGER NOT NULL REFERENCES offices,
    created_by_id   INTEGER NOT NULL REFERENCES people,
    assigned_to_id  INTEGER REFERENCES people,
    tags            TEXT NOT NULL DEFAULT '' CHECK (length(tags) <= 200), -- words with a comma between
    revision        INTEGER NOT NULL DEFAULT 1,
    public_revision INTEGER NOT NULL DEFAULT 1,
    updated_ms      INTEGER NOT NULL DEFAULT 0,
    public_ms       INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX tickets_of_office ON tickets (office_id, updated_ms);
CREATE INDEX tickets_of_creator ON tickets (created_by_id);
CREATE INDEX tickets_of_assignee ON tickets (assigned_to_id);

-- Numbers are not given twice.
CREATE TABLE replies (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    ticket_id        INTEGER NOT NULL REFERENCES tickets,
    user_id          INTEGER NOT NULL REFERENCES people,
    role             TEXT NOT NULL, -- of the author, when it was written
    message          TEXT NOT NULL,
    event_characters INTEGER NOT NULL, -- so many of them are in the event
    is_internal      INTEGER NOT NULL CHECK (is_internal IN (0, 1)),
    created_ms       INTEGER NOT NULL
);
CREATE INDEX replies_of ON replies (ticket_id, is_internal);
CREATE INDEX replies_by ON replies (user_id, created_ms);

CREATE TABLE attachments (
    reply_id INTEGER NOT NULL REFERENCES replies,
    place    INTEGER NOT NULL, -- 0, 1, ...
    filename TEXT NOT NULL CHECK (length(filename) BETWEEN 1 AND 120),
    size     INTEGER NOT NULL,
    content  BLOB NOT NULL,
    PRIMARY KEY (reply_id, place)
);

-- Up to which reply a user has got and read a ticket, public ones and notes apart: one mark for both would tell of notes.
CREATE TABLE marks (
    ticket_id   INTEGER NOT NULL REFERENCES tickets,
    user_id     INTEGER NOT NULL REFERENCES people,
    is_internal INTEGER NOT NULL,
    delivered   INTEGER NOT NULL DEFAULT 0, -- the number of a reply
    read        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (ticket_id, user_id, is_internal)
) WITHOUT ROWID;
