CREATE TABLE notes (
    id      INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users,
    text    TEXT NOT NULL CHECK (length(text) <= 200)
);
