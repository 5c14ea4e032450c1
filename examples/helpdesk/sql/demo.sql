-- Two offices, an admin, four agents, twelve customers, thirty tickets. Passwords: mina-demo and so on.
INSERT INTO settings VALUES ('demo', '1');

INSERT INTO offices (id, name) VALUES (1, 'Billing'), (2, 'Technical');

INSERT INTO users (id, email, name, password) VALUES
    (1, 'ada@desk.example', 'Ada',
        '$argon2id$v=19$m=65536,t=2,p=1$W57HZEbiVDJJiJ/zV1QTEA$l6863CmjkOBv/ZkG0Q2RXqBQBh0sTQT/vLp74BMP6KE'),
    (2, 'mina@desk.example', 'Mina',
        '$argon2id$v=19$m=65536,t=2,p=1$Bf+BUWD23w0MAZ2PEVGRyg$LsBOcgniJpo988gf68xhyqKRNiP2MmKunlipycXI5FA'),
    (3, 'noah@desk.example', 'Noah',
        '$argon2id$v=19$m=65536,t=2,p=1$g6u0PuvS6OF/SVcZgdWGPg$2LJvYPAv1voatKGKpEWOg5GrKOj4vb+18PqTbilpXPE'),
    (4, 'lena@desk.example', 'Lena',
        '$argon2id$v=19$m=65536,t=2,p=1$QwvDbpdRklcp72t98JjLnA$nR5K6DSzqKxeIwNHDiuaFf9FtfeEVK9HhnNVUYuKwEU'),
    (5, 'otto@desk.example', 'Otto',
        '$argon2id$v=19$m=65536,t=2,p=1$GYYmExh3kHYUsvamquaj1A$NVhbOvVp/fc0mIKSBOOrR6rYYuyGWR2UCk7/FC5FYh8'),
    (6, 'theo@desk.example', 'Theo',
        '$argon2id$v=19$m=65536,t=2,p=1$1I22OJkjFEaVvU5esTtngQ$Ftmt/zW+BlR9uuEm4nFjlD1IrUe4lQOFWS20Zf/BhoY'),
    (7, 'ruth@desk.example', 'Ruth',
        '$argon2id$v=19$m=65536,t=2,p=1$nCuaq3Jm+ICYmcUhi9pIkg$ykr6vjhmmkb0vTKzAD+m/6JoJ4gJHNaCZA5xi0hZQfU'),
    (8, 'ivan@desk.example', 'Ivan',
        '$argon2id$v=19$m=65536,t=2,p=1$ADC15598Eli7lXxzjqEe6g$3h44g/EVk5T3VI64qzdGmKZ8iJ/GWiIu57439+FoEZ8'),
    (9, 'zoe@desk.example', 'Zoe',
        '$argon2id$v=19$m=65536,t=2,p=1$hglKxK3YNAQIX2vQSfIM7w$NO9cbAVQwnhns0eTDQWhEHwsRLzzGvAKKaZ517tISY0'),
    (10, 'karl@desk.example', 'Karl',
        '$argon2id$v=19$m=65536,t=2,p=1$/dIU8JuK4ZqzIrK+0lUMCQ$42ToyG/GIiau8TO8VvpOH3XUy/tb6tSRnO8pX2gl81Q'),
    (11, 'emma@desk.example', 'Emma',
        '$argon2id$v=19$m=65536,t=2,p=1$5AWMcbtmZB8hMSt+oLfkZA$mWScujBiLRdIaxbZXHQU4ccSvFy+UrSL75p/VPi/Pps'),
    (12, 'felix@desk.example', 'Felix',
        '$argon2id$v=19$m=65536,t=2,p=1$o+mqqoh1+o7nvEEvP313uw$XaoupqLq788CoVHVOeyIphwUBJfbyXYQ/R+ySeNxPjg'),
    (13, 'nora@desk.example', 'Nora',
        '$argon2id$v=19$m=65536,t=2,p=1$RYB2UdwgQV6orR/31i+ekw$jPt92rjlYM8j8c4XV0XvnziTPYBUlYT8xqHeUc/7xJg'),
    (14, 'hugo@desk.example', 'Hugo',
        '$argon2id$v=19$m=65536,t=2,p=1$FmMpdXTzhOfxoMG+a1+y+w$kY33+fWKdR4SduWEgYl2xgX3JBBbDt9iCdCUbSnUTPo'),
    (15, 'clara@desk.example', 'Clara',
        '$argon2id$v=19$m=65536,t=2,p=1$FHo7kmJlJVVzUiHXmfZENA$nDrRI683OumXp5yb3zY22y60zTUeMSEJmbAYsyUqH6A'),
    (16, 'jonas@desk.example', 'Jonas',
        '$argon2id$v=19$m=65536,t=2,p=1$7qynf7PNCSVAHx+Hxua2/Q$HnvmvNuB4Ihme2gvaaJ6fTYH+/tl1QfJG68H7P+VhVE'),
    (17, 'alma@desk.example', 'Alma',
        '$argon2id$v=19$m=65536,t=2,p=1$ZJogtejRuaooECTItOhPHQ$bvUX7gcTQz80B+5MMLAHDSXGFHAY52kZQTdjrHhUFhY');

INSERT INTO people (user_id, role) SELECT id, CASE WHEN id = 1 THEN 'admin' WHEN id <= 5 THEN 'agent' ELSE 'customer' END FROM users;
INSERT INTO office_people (office_id, user_id) VALUES (1, 2), (1, 3), (2, 4), (2, 5);

-- Ticket 1 is Theo's, in Billing, and Mina's.
CREATE TEMP TABLE subjects (nth INTEGER PRIMARY KEY, subject TEXT, message TEXT);
INSERT INTO subjects VALUES
    (1, 'Invoice has the wrong address', 'The invoice of last month went to our old address. Can you send it again?'),
    (2, 'Cannot sign in', 'Since this morning the page says that my password is wrong.'),
    (3, 'Paid twice', 'Our bank shows two payments for one order.'),
    (4, 'Export is empty', 'The file that I download has a heading and no rows.'),
    (5, 'Change of plan', 'We would like to have the larger plan from next month on.'),
    (6, 'Slow since the update', 'Each page takes ten seconds now.');
INSERT INTO tickets (id, uuid, subject, status, priority, office_id, created_by_id, assigned_to_id, tags, updated_ms, public_ms)
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 30)
SELECT n, printf('00000000-0000-4000-8000-%012d', n), s.subject || iif(n <= 6, '', printf(' (%d)', n / 6 + 1)),
    iif(n % 5 = 4, 'pending', 'open'), CASE n % 7 WHEN 0 THEN 'urgent' WHEN 3 THEN 'high' WHEN 5 THEN 'low' ELSE 'normal' END,
    2 - n % 2, 6 + (n - 1) % 12, CASE n % 3 WHEN 1 THEN iif(n % 2, 2, 4) WHEN 2 THEN iif(n % 2, 3, 5) END,
    iif(n % 4 = 0, 'later', ''), (unixepoch() - n * 900) * 1000, (unixepoch() - n * 900) * 1000
FROM n JOIN subjects s ON s.nth = (n.n - 1) % 6 + 1;
INSERT INTO replies (ticket_id, user_id, role, message, event_characters, is_internal, created_ms)
SELECT t.id, t.created_by_id, 'customer', s.message, length(s.message), 0, t.public_ms
FROM tickets t JOIN subjects s ON s.nth = (t.id - 1) % 6 + 1;
INSERT INTO replies (ticket_id, user_id, role, message, event_characters, is_internal, created_ms)
SELECT id, assigned_to_id, 'agent', 'Thank you. I am looking into it.', 32, 0, public_ms + 60000 FROM tickets WHERE assigned_to_id;
INSERT INTO replies (ticket_id, user_id, role, message, event_characters, is_internal, created_ms)
SELECT id, assigned_to_id, 'agent', 'Looks like the same cause as last week.', 39, 1, public_ms + 90000 FROM tickets WHERE assigned_to_id AND id % 3 = 1;
DROP TABLE subjects;
