-- What a fresh database is filled with, beside its gateways, which fleet.c makes. Passwords: ada-demo and so on.
-- The passwords are on the sign-in page, so their hashes are the cheapest to check; those of people are not (crypto_pwhash_OPSLIMIT_INTERACTIVE).
INSERT INTO settings VALUES ('demo', '1');

INSERT INTO sites (id, name) VALUES
    (1, 'North shore'), (2, 'Old town'), (3, 'Harbour'), (4, 'Industrial park'), (5, 'Hills'), (6, 'Airport');

INSERT INTO users (id, email, name, password) VALUES
    (1, 'ada@gateways.example', 'Ada',
        '$argon2id$v=19$m=8192,t=1,p=1$A8euoeBld0lbsVXaDSfPdA$CEpwJ1y9CngLBoLuQWjHtEhZACPwTxBUru84PJQq6T4'),
    (2, 'ben@gateways.example', 'Ben',
        '$argon2id$v=19$m=8192,t=1,p=1$zDSVRwnBuMyaHi0972DjfA$cGnHr+ZEJw7ZxbJmuRAaUVT6Jz/hDIcLYcJoCC/ayas'),
    (3, 'eve@gateways.example', 'Eve',
        '$argon2id$v=19$m=8192,t=1,p=1$+ml0M8H77wywsH9F8UWWiQ$vsqoFV77dKGkhrzQJynKpnVckHG63Zh6M9w0n85Njhw');
INSERT INTO people VALUES (1, 1), (2, 0), (3, 0);
-- Ada is told of all alerts, Ben of those of his three sites; Eve sees two and is told of none.
INSERT INTO permissions SELECT 1, id, 1 FROM sites;
INSERT INTO permissions VALUES (2, 1, 1), (2, 2, 1), (2, 3, 1), (3, 3, 0), (3, 4, 0);
