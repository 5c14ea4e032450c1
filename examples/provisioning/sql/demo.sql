INSERT INTO settings VALUES ('demo', '1');

-- The passwords are on the sign-in page, so their hashes are the cheapest to check; those of people are not (crypto_pwhash_OPSLIMIT_INTERACTIVE).
INSERT INTO users (id, email, name, password) VALUES
    (1, 'iris@harbour.example', 'Iris', -- iris-demo
        '$argon2id$v=19$m=8192,t=1,p=1$CYa+vqpD8+1GW/h3mvz18w$FJWOb2YEDXq4dVLdhavmgfEkyxO57pbm9+ceAUhCxEo'),
    (2, 'omar@quarry.example', 'Omar', -- omar-demo
        '$argon2id$v=19$m=8192,t=1,p=1$EmfA78NFNAwo7FHO3COeFw$T7p68tueAkTloSY9OQFyI6i+GnG4eQRayR13s870+EE');

INSERT INTO servers (id, user_id, name, provision_status) VALUES
    (1, 1, 'web-1', 'completed'), (2, 1, 'web-2', 'completed'), (3, 1, 'data-1', 'completed'), (4, 1, 'staging', 'completed'),
    (5, 2, 'shop-1', 'completed'), (6, 2, 'shop-2', 'completed'), (7, 2, 'search', 'completed'), (8, 2, 'builds', 'completed');
UPDATE steps SET status = 'completed';

INSERT INTO sites (id, server_id, name) VALUES (1, 1, 'harbour.example'), (2, 5, 'quarry.example');

INSERT INTO works (server_id, site_id, kind, name, progress) VALUES
    (1, NULL, 'packages', 'redis-server', 100), (1, NULL, 'databases', 'harbour', 100), (1, 1, 'deployment', 'harbour.example', 100),
    (5, NULL, 'packages', 'imagemagick', 100), (5, NULL, 'databases', 'quarry', 100), (5, 2, 'deployment', 'quarry.example', 100);
