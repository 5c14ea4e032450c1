-- What a fresh database is filled with. Passwords are hashed right after this has run.

INSERT INTO settings VALUES ('demo', '1');

INSERT INTO organizations (id, slug, name, tagline) VALUES
    (1, 'lighthouse', 'Lighthouse Hosting', 'Websites, databases and storage'),
    (2, 'paperplane', 'Paperplane Mail', 'Mail for small teams');

INSERT INTO users (id, email, name, password) VALUES
    (1, 'owner@lighthouse.example', 'Demo owner', 'lighthouse-demo'),
    (2, 'member@lighthouse.example', 'Demo member', 'lighthouse-demo'),
    (3, 'owner@paperplane.example', 'Demo owner', 'paperplane-demo');

INSERT INTO memberships VALUES (1, 1, 'owner'), (2, 1, 'member'), (3, 2, 'owner');

WITH seed (id, organization_id, group_name, name, description, days) AS (VALUES
    (1, 1, 'Customer facing', 'Website', 'www.lighthouse.example', 400),
    (2, 1, 'Customer facing', 'Control panel', 'Where customers manage what they run', 400),
    (3, 1, 'Customer facing', 'Support desk', 'Tickets and chat', 400),
    (4, 1, 'Platform', 'Public API', 'api.lighthouse.example', 400),
    (5, 1, 'Platform', 'Databases', 'Managed PostgreSQL and MariaDB', 400),
    (6, 1, 'Platform', 'Object storage', 'Files and backups', 400),
    (7, 1, 'Platform', 'Edge network', 'Content delivery in 14 places', 46),
    (8, 2, 'Mail', 'Incoming mail', 'mx.paperplane.example', 300),
    (9, 2, 'Mail', 'Outgoing mail', 'smtp.paperplane.example', 300),
    (10, 2, 'Mail', 'Webmail', 'Mail in the browser', 300),
    (11, 2, 'Account', 'Sign-in', 'Single sign-on and passwords', 300),
    (12, 2, 'Account', 'Billing', 'Invoices and plans', 300))
INSERT INTO services (id, organization_id, group_name, name, description, position, created_at)
SELECT id, organization_id, group_name, name, description, id, unixepoch() - days * 86400 FROM seed;

-- Troubles that are over: hours ago, how long, what it was, what was said.
CREATE TEMP TABLE trouble (service_id, hours_ago, minutes, status, began, ended);
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
    (5, 915, 180, 'maintenance', 'Minor version upgrade of all clusters.',
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
    SELECT service_id, 'operational', status, began, unixepoch() - hours_ago * 3600 AS at FROM trouble
    UNION ALL
    SELECT service_id, status, 'operational', ended, unixepoch() - hours_ago * 3600 + minutes * 60
    FROM trouble)
ORDER BY at;
DROP TABLE trouble;
