-- What a fresh database is filled with, beside its gateways, which fleet.c makes. Passwords: ada-demo and so on.
INSERT INTO settings VALUES ('demo', '1');

INSERT INTO sites (id, name) VALUES
    (1, 'North shore'), (2, 'Old town'), (3, 'Harbour'), (4, 'Industrial park'), (5, 'Hills'), (6, 'Airport');

INSERT INTO users (id, email, name, password) VALUES
    (1, 'ada@gateways.example', 'Ada',
        '$argon2id$v=19$m=65536,t=2,p=1$ttKdeO6RGLDiC3AX70R7pA$Q7/d9MWAYmC9qxO9RUoIMrRXoiFhtzOfllY/w+wcqr8'),
    (2, 'ben@gateways.example', 'Ben',
        '$argon2id$v=19$m=65536,t=2,p=1$6p4OqwwsLMc+RsiVaf6e0w$PDiJwL0RW6A9yMvo3wL+uwurBDolPC7lAAvAfPKB/XU'),
    (3, 'eve@gateways.example', 'Eve',
        '$argon2id$v=19$m=65536,t=2,p=1$u6feAV4HPwvdgDoCd1KbVg$X0WoCYNwVetNdYqQKDkpkaRf9cLjkbvmwmVluDUXvrQ');
INSERT INTO people VALUES (1, 1), (2, 0), (3, 0);
-- Ada is told of all alerts, Ben of those of his three sites; Eve sees two and is told of none.
INSERT INTO permissions SELECT 1, id, 1 FROM sites;
INSERT INTO permissions VALUES (2, 1, 1), (2, 2, 1), (2, 3, 1), (3, 3, 0), (3, 4, 0);
