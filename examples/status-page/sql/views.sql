-- Made anew at each start.

-- What has happened, for the feed. What a notice did to services is told by the notice.
DROP VIEW IF EXISTS activity;
CREATE VIEW activity AS
    SELECT l.at, l.written, l.id, s.organization_id, s.public, s.name AS subject, l.new_status AS status,
        iif(l.old_status = l.new_status, NULL, a.label) AS old_label, b.label, l.message, l.user_id
    FROM status_log l JOIN services s ON s.id = l.service_id
    JOIN statuses a ON a.name = l.old_status JOIN statuses b ON b.name = l.new_status
    WHERE l.notice_id IS NULL
    UNION ALL
    SELECT u.at, u.written, u.id, n.organization_id, n.public AND u.public, n.title,
        iif(u.state IN ('resolved', 'completed', 'cancelled'), 'operational', n.effect),
        NULL, iif(u.public, s.label, 'Internal note'), u.message, u.user_id
    FROM notice_updates u JOIN notices n ON n.id = u.notice_id JOIN statuses s ON s.name = u.state;

-- The last 90 days, from the log. A service was in a state from one entry to the next, and operational before
-- the first. Of each day with trouble: x is 0 for the oldest..89, the status is the worst.
DROP VIEW IF EXISTS service_days;
CREATE VIEW service_days AS
    WITH RECURSIVE day (x, begins) AS (
        SELECT 0, unixepoch('now', 'start of day', '-89 days')
        UNION ALL SELECT x + 1, begins + 86400 FROM day WHERE x < 89),
    period AS (
        SELECT service_id, new_status AS status, at AS begins,
            lead(at, 1, unixepoch() + 1) OVER (PARTITION BY service_id ORDER BY at, id) AS ends
        FROM status_log)
    SELECT p.service_id, d.x, max(s.rank) AS rank, s.name AS status, s.label,
        date(d.begins, 'unixepoch') AS date,
        sum(min(p.ends, d.begins + 86400) - max(p.begins, d.begins)) AS trouble_s,
        sum(iif(s.rank >= 3, min(p.ends, d.begins + 86400) - max(p.begins, d.begins), 0)) AS outage_s
    FROM period p JOIN day d ON d.begins < p.ends AND d.begins + 86400 > p.begins
    JOIN statuses s ON s.name = p.status AND s.rank > 0
    GROUP BY p.service_id, d.x;
