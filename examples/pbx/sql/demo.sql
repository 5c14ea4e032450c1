-- Three organizations with eight extensions each. The password of each demo user is "pbx-demo"; the first person of an
-- organization is its admin, and the operator moves people from one to another.
INSERT INTO settings VALUES ('demo', '1');

INSERT INTO organizations (id, name) VALUES (1, 'Kestrel Travel'), (2, 'Bluebird Clinic'), (3, 'Granite Tools');

CREATE TEMP TABLE names AS
SELECT CAST(key AS INTEGER) + 1 id, value name FROM json_each(
    '["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gia", "Hugo",
      "Iris", "Jon", "Kim", "Leo", "Mia", "Nils", "Olga", "Paul",
      "Quinn", "Rosa", "Sam", "Tess", "Uma", "Vito", "Wim", "Yara", "Operator"]');

INSERT INTO users (id, email, name, password)
SELECT id, lower(name) || '@' || CASE (id - 1) / 8 WHEN 0 THEN 'kestrel' WHEN 1 THEN 'bluebird' WHEN 2 THEN 'granite' ELSE 'pbx' END || '.example', name,
    '$argon2id$v=19$m=65536,t=2,p=1$M8ccz8531b0zGqN4TUKJEQ$C2QjTKwRi5kuxczo7woibb09kl9uChNX18T1EwyGXag'
FROM names;

INSERT INTO people (user_id, organization_id, role)
SELECT id, iif(id > 24, NULL, (id - 1) / 8 + 1), CASE WHEN id > 24 THEN 'operator' WHEN id % 8 = 1 THEN 'admin' ELSE 'member' END FROM names;

INSERT INTO extensions (id, organization_id, number, user_id)
SELECT id, (id - 1) / 8 + 1, CAST(101 + (id - 1) % 8 AS TEXT), id FROM names WHERE id <= 24;

-- Numbers that belong to no subscriber.
INSERT INTO dids (id, extension_id, number)
SELECT id, id, CASE (id - 1) / 8 WHEN 0 THEN '+442079460' WHEN 1 THEN '+441614960' ELSE '+441174960' END || printf('%03d', 100 + id) FROM names WHERE id <= 24;

DROP TABLE names;
