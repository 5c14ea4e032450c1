-- What a fresh database is filled with.
-- The passwords are on the sign-in page, so their hashes are the cheapest to check; those of people are not (crypto_pwhash_OPSLIMIT_INTERACTIVE).

INSERT INTO settings VALUES ('demo', '1');

INSERT INTO organizations (id, slug, name, tagline, public) VALUES
    (1, 'lighthouse', 'Lighthouse Hosting', 'Websites, databases and storage', 1),
    (2, 'paperplane', 'Paperplane Mail', 'Mail for small teams', 0);

WITH seed (id, email, name) AS (VALUES
    (1, 'owner@lighthouse.example', 'Demo owner'),
    (2, 'admin@lighthouse.example', 'Demo admin'),
    (3, 'member@lighthouse.example', 'Demo member'),
    (4, 'owner@paperplane.example', 'Demo owner'),
    (5, 'member@paperplane.example', 'Demo member'))
INSERT INTO users (id, email, name, password)
SELECT id, email, name, iif(email LIKE '%lighthouse%',
    '$argon2id$v=19$m=8192,t=1,p=1$m83oMi7UuEtt0qQVuHmLPA$2zyM+z2lalw7py4t94Lz+fjgdv0hGJpbiNA5ApOSVm8', -- lighthouse-demo
    '$argon2id$v=19$m=8192,t=1,p=1$PnwpB5fAM6OqSFNOB7Fg7g$PDT4sdnsUBCdzyRJ0cCs8RMabys+uEnxjDG6oKfqTuE') -- paperplane-demo
FROM seed;

INSERT INTO memberships VALUES (1, 1, 'owner'), (2, 1, 'admin'), (3, 1, 'member'), (4, 2, 'owner'), (5, 2, 'member');

WITH seed (id, organization_id, group_name, name, description, days, public) AS (VALUES
    (1, 1, 'Customer facing', 'Website', 'www.lighthouse.example', 400, 1),
    (2, 1, 'Customer facing', 'Control panel', 'Where customers manage what they run', 400, 1),
    (3, 1, 'Customer facing', 'Support desk', 'Tickets and chat', 400, 1),
    (4, 1, 'Platform', 'Public API', 'api.lighthouse.example', 400, 1),
    (5, 1, 'Platform', 'Databases', 'Managed PostgreSQL and MariaDB', 400, 1),
    (6, 1, 'Platform', 'Object storage', 'Files and backups', 400, 1),
    (7, 1, 'Platform', 'Edge network', 'Content delivery in 14 places', 46, 1),
    (8, 2, 'Mail', 'Incoming mail', 'mx.paperplane.example', 300, 1),
    (9, 2, 'Mail', 'Outgoing mail', 'smtp.paperplane.example', 300, 1),
    (10, 2, 'Mail', 'Webmail', 'Mail in the browser', 300, 1),
    (11, 2, 'Account', 'Sign-in', 'Single sign-on and passwords', 300, 1),
    (12, 2, 'Account', 'Billing', 'Invoices and plans', 300, 1),
    (13, 1, 'Behind the scenes', 'Build farm', 'Only members see this one', 400, 0))
INSERT INTO services (id, organization_id, group_name, name, description, position, public, created_at)
SELECT id, organization_id, group_name, name, description, id, public, unixepoch() - days * 86400 FROM seed;

-- Troubles that are over: hours before today began (none crosses a midnight), how long, what it was, what was said.
CREATE TEMP TABLE trouble (service_id, hours_before, minutes, status, began, ended);
INSERT INTO trouble VALUES
    (4, 53, 34, 'degraded', 'Requests take longer than usual; we are looking into it.',
        'A slow database query was the reason. Response times are back to normal.'),
    (7, 197, 120, 'maintenance', 'New routers in two places; traffic goes around them.',
        'The new routers are in service.'),
    (6, 341, 48, 'partial_outage', 'Uploads fail for some customers.',
        'A full disk was replaced; uploads work again, nothing was lost.'),
    (1, 612, 12, 'major_outage', 'The website cannot be reached.',
        'A wrong firewall rule was taken back.'),
    (2, 612, 15, 'major_outage', 'The control panel cannot be reached.',
        'A wrong firewall rule was taken back.'),
    (5, 917, 180, 'maintenance', 'Minor version upgrade of all clusters.',
        'All clusters run the new version.'),
    (4, 1277, 75, 'partial_outage', 'One in five requests is answered with an error.',
        'The faulty release was rolled back.'),
    (3, 1530, 240, 'degraded', 'Chat messages arrive late.', 'Messages arrive at once again.'),
    (9, 29, 95, 'degraded', 'Mail to some large providers is delayed.',
        'The queue is empty again.'),
    (10, 405, 22, 'major_outage', 'Webmail does not load.', 'An expired certificate was renewed.'),
    (11, 1103, 40, 'partial_outage', 'Sign-in fails for some customers.',
        'Sign-in works for everybody again.'),
    (8, 1811, 60, 'maintenance', 'Move to new hardware; mail waits meanwhile.',
        'Incoming mail runs on new hardware.');

INSERT INTO status_log (service_id, old_status, new_status, message, at)
SELECT * FROM (
    SELECT service_id, 'operational', status, began, unixepoch('now', 'start of day') - hours_before * 3600 AS at FROM trouble
    UNION ALL
    SELECT service_id, status, 'operational', ended, unixepoch('now', 'start of day') - hours_before * 3600 + minutes * 60
    FROM trouble)
ORDER BY at;
DROP TABLE trouble;

-- Two stories of those: an incident that is over, and a maintenance to come.
INSERT INTO notices (id, organization_id, kind, title, effect, state, starts_at, ends_at) VALUES
    (1, 1, 'incident', 'Slow answers from the public API', 'degraded', 'resolved', unixepoch('now', 'start of day') - 53 * 3600, NULL),
    (2, 1, 'maintenance', 'Database upgrade', 'maintenance', 'scheduled',
        unixepoch('now', 'start of day', '+3 days', '+2 hours'), unixepoch('now', 'start of day', '+3 days', '+4 hours')),
    (3, 2, 'incident', 'Mail to large providers is late', 'degraded', 'resolved', unixepoch('now', 'start of day') - 29 * 3600, NULL);
INSERT INTO notice_services VALUES (1, 4), (2, 5), (3, 9);
INSERT INTO notice_updates (notice_id, state, message, public, user_id, at) VALUES
    (1, 'investigating', 'Requests take longer than usual; we are looking into it.', 1, 2, unixepoch('now', 'start of day') - 53 * 3600),
    (1, 'identified', 'The report of last night never ended and holds a lock.', 0, 1, unixepoch('now', 'start of day') - 53 * 3600 + 600),
    (1, 'identified', 'A slow database query is the reason. It has been stopped.', 1, 2, unixepoch('now', 'start of day') - 53 * 3600 + 840),
    (1, 'resolved', 'Response times are back to normal.', 1, 2, unixepoch('now', 'start of day') - 53 * 3600 + 2040),
    (2, 'scheduled', 'Databases restart once, for about a minute each.', 1, 1, unixepoch() - 20 * 3600),
    (3, 'investigating', 'Some large providers accept our mail very slowly.', 1, 4, unixepoch('now', 'start of day') - 29 * 3600),
    (3, 'resolved', 'The queue is empty again.', 1, 4, unixepoch('now', 'start of day') - 29 * 3600 + 5700);
-- Their services changed because of them.
UPDATE status_log SET notice_id = 1 WHERE service_id = 4 AND at > unixepoch('now', 'start of day') - 54 * 3600;
UPDATE status_log SET notice_id = 3 WHERE service_id = 9 AND at > unixepoch('now', 'start of day') - 30 * 3600;
