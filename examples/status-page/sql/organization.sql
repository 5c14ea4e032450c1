-- All that pages and API show of one organization, as JSON, ready for the templates.
-- ?1: its id. ?2: 1 for members: everything, with names; 0 for visitors. ?3: 1 for those who may change things.
WITH
visible AS (SELECT * FROM services WHERE organization_id = ?1 AND (public OR ?2)),
-- What the banner says: the worst of the services and of what the open notices do, with services or without.
worst AS (
    SELECT name, overall, max(rank) AS rank FROM statuses WHERE name = 'operational' OR name IN (SELECT status FROM visible)
        OR name IN (SELECT effect FROM notices WHERE organization_id = ?1 AND (public OR ?2)
            AND state NOT IN ('scheduled', 'resolved', 'completed', 'cancelled'))),
days AS (SELECT * FROM service_days WHERE service_id IN (SELECT id FROM visible)),
-- Rounding must not hide an outage.
uptime AS (
    SELECT v.id, max(0, CAST((v.created_at - unixepoch('now', 'start of day', '-89 days')) / 86400 AS INTEGER)) AS unknown,
        (SELECT sum(outage_s) FROM days WHERE service_id = v.id) AS outage_s,
        unixepoch() + 1 - max(v.created_at, unixepoch('now', 'start of day', '-89 days')) AS known_s
    FROM visible v),
service AS (
    SELECT v.group_name, v.position, json_object(
        'id', v.id, 'name', v.name, 'description', v.description, 'hidden', NOT v.public,
        'status', v.status, 'label', s.label,
        'note', iif(s.rank, l.message, NULL),
        'since', strftime('%Y-%m-%dT%H:%M:%SZ', l.at, 'unixepoch'),
        'since_text', strftime('%Y-%m-%d %H:%M UTC', l.at, 'unixepoch'),
        'uptime', iif(u.outage_s, printf('%.2f', max(0, min(99.99, 100 - 100.0 * u.outage_s / u.known_s))), '100'),
        'unknown', u.unknown, 'troubles', EXISTS (SELECT 1 FROM days WHERE service_id = v.id),
        'days', json((SELECT json_group_array(json_object('x', d.x, 'status', d.status, 'title',
                printf('%s: %s, %s%d min', d.date, d.label,
                    iif(d.trouble_s < 3600, '', (d.trouble_s / 3600) || ' h '), (d.trouble_s + 59) / 60 % 60)))
            FROM days d WHERE d.service_id = v.id)),
        'choices', json(iif(?3, (SELECT json_group_array(json_object(
                'choice', c.name, 'choice_label', c.label, 'chosen', c.name = v.status))
            FROM (SELECT * FROM statuses WHERE kind = 'service' ORDER BY rank) c), '[]'))) AS json
    FROM visible v JOIN uptime u ON u.id = v.id JOIN statuses s ON s.name = v.status
    LEFT JOIN status_log l ON l.id = (SELECT max(id) FROM status_log WHERE service_id = v.id)),
-- Open ones, and for some days those that are over.
notice AS (
    SELECT n.kind, n.starts_at, iif(n.state IN ('resolved', 'completed', 'cancelled'), 'over', 'now') AS time, json_object(
        'id', n.id, 'kind', n.kind, 'title', n.title, 'state', n.state, 'state_label', s.label, 'hidden', NOT n.public,
        'effect', iif(n.state IN ('resolved', 'completed', 'cancelled'), 'operational', n.effect), 'effect_label', e.label,
        'scheduled', n.state = 'scheduled', 'started', n.state = 'started',
        'starts', strftime('%Y-%m-%dT%H:%M:%SZ', n.starts_at, 'unixepoch'),
        'starts_text', strftime('%Y-%m-%d %H:%M UTC', n.starts_at, 'unixepoch'),
        'field', strftime('%Y-%m-%dT%H:%M', n.starts_at, 'unixepoch'), 'minutes', (n.ends_at - n.starts_at + 59) / 60,
        'ends', strftime('%Y-%m-%dT%H:%M:%SZ', n.ends_at, 'unixepoch'),
        'ends_text', strftime('%Y-%m-%d %H:%M UTC', n.ends_at, 'unixepoch'),
        'affects', (SELECT group_concat(v.name, ', ') FROM notice_services ns JOIN visible v ON v.id = ns.service_id
            WHERE ns.notice_id = n.id),
        'updates', json((SELECT json_group_array(json_object(
                'update_label', label, 'message', message, 'internal', NOT public, 'by', iif(?2, name, NULL),
                'at', strftime('%Y-%m-%dT%H:%M:%SZ', at, 'unixepoch'),
                'at_text', strftime('%Y-%m-%d %H:%M UTC', at, 'unixepoch')))
            FROM (SELECT us.label, up.message, up.public, p.name, up.at
                FROM notice_updates up JOIN statuses us ON us.name = up.state LEFT JOIN users p ON p.id = up.user_id
                WHERE up.notice_id = n.id AND (up.public OR ?2) ORDER BY up.id DESC))),
        'ticks', json(iif(?3, (SELECT json_group_array(json_object('tick', v.id, 'tick_name', v.name, 'ticked',
                EXISTS (SELECT 1 FROM notice_services WHERE notice_id = n.id AND service_id = v.id))) FROM visible v), '[]')),
        'effects', json(iif(?3, (SELECT json_group_array(json_object(
                'choice', c.name, 'choice_label', c.label, 'chosen', c.name = n.effect))
            FROM (SELECT * FROM statuses WHERE kind = 'service' AND rank > 1 ORDER BY rank) c), '[]')),
        'states', json(iif(?3, (SELECT json_group_array(json_object(
                'choice', c.name, 'choice_label', c.label, 'chosen', c.name = n.state))
            FROM (SELECT * FROM statuses WHERE kind = 'incident' ORDER BY rank) c), '[]'))) AS json
    FROM notices n JOIN statuses s ON s.name = n.state JOIN statuses e ON e.name = n.effect
    WHERE n.organization_id = ?1 AND (n.public OR ?2)
        AND (n.state NOT IN ('resolved', 'completed', 'cancelled') OR n.starts_at > unixepoch('now', '-14 days')))
SELECT
    (SELECT json_object('overall_status', name, 'overall_text', overall, 'trouble', rank > 0) FROM worst) AS "json:overall",
    (SELECT json_group_array(json_object('group', group_name, 'services', json(services)))
        FROM (SELECT group_name, '[' || group_concat(json) || ']' AS services
            FROM (SELECT * FROM service ORDER BY position) GROUP BY group_name ORDER BY min(position))) AS "json:groups",
    (SELECT json_group_array(json(json)) FROM (SELECT json FROM notice WHERE kind = 'incident' AND time = 'now'
        ORDER BY starts_at DESC)) AS "json:incidents",
    (SELECT json_group_array(json(json)) FROM (SELECT json FROM notice WHERE kind = 'maintenance' AND time = 'now'
        ORDER BY starts_at)) AS "json:maintenances",
    (SELECT json_group_array(json(json)) FROM (SELECT json FROM notice WHERE time = 'over'
        ORDER BY starts_at DESC LIMIT 5)) AS "json:past",
    (SELECT json_group_array(json_object('subject', subject, 'status', status, 'old_label', old_label,
            'new_label', label, 'message', message, 'who', iif(?2, name, NULL),
            'at', strftime('%Y-%m-%dT%H:%M:%SZ', at, 'unixepoch'),
            'at_text', strftime('%Y-%m-%d %H:%M UTC', at, 'unixepoch')))
        FROM (SELECT a.*, u.name FROM activity a LEFT JOIN users u ON u.id = a.user_id
            WHERE a.organization_id = ?1 AND (a.public OR ?2) ORDER BY a.at DESC, a.written DESC, a.id DESC LIMIT 12)) AS "json:activity",
    (SELECT json_group_array(json_object('member_id', id, 'member', name, 'email', email, 'role', role,
            'removable', role <> 'owner'))
        FROM (SELECT u.id, u.name, u.email, m.role FROM memberships m JOIN users u ON u.id = m.user_id
            WHERE m.organization_id = ?1 AND ?2 ORDER BY u.id)) AS "json:people"
