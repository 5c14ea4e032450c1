-- Public notices of an organization with their public stories, as JSON. ?1: its id. ?2: a notice, or 0 for those that are
-- over. ?3: only those before this one, or 0.
WITH chosen AS (
    SELECT * FROM notices WHERE organization_id = ?1 AND public
        AND iif(?2, id = ?2, state IN ('resolved', 'completed', 'cancelled') AND (?3 = 0 OR id < ?3))
    ORDER BY id DESC LIMIT 20)
SELECT
    (SELECT json_group_array(json_object('id', n.id, 'kind', n.kind, 'title', n.title, 'state_label', s.label,
            'effect', iif(n.state IN ('resolved', 'completed', 'cancelled'), 'operational', n.effect), 'effect_label', e.label,
            'starts', strftime('%Y-%m-%dT%H:%M:%SZ', n.starts_at, 'unixepoch'),
            'starts_text', strftime('%Y-%m-%d %H:%M UTC', n.starts_at, 'unixepoch'),
            'ends', strftime('%Y-%m-%dT%H:%M:%SZ', n.ends_at, 'unixepoch'),
            'ends_text', strftime('%Y-%m-%d %H:%M UTC', n.ends_at, 'unixepoch'),
            'affects', (SELECT group_concat(v.name, ', ') FROM notice_services ns JOIN services v ON v.id = ns.service_id
                WHERE ns.notice_id = n.id AND v.public),
            'updates', json((SELECT json_group_array(json_object('update_label', label, 'message', message,
                    'at', strftime('%Y-%m-%dT%H:%M:%SZ', at, 'unixepoch'),
                    'at_text', strftime('%Y-%m-%d %H:%M UTC', at, 'unixepoch')))
                FROM (SELECT us.label, up.message, up.at FROM notice_updates up JOIN statuses us ON us.name = up.state
                    WHERE up.notice_id = n.id AND up.public ORDER BY up.id DESC)))))
        FROM (SELECT * FROM chosen ORDER BY id DESC) n JOIN statuses s ON s.name = n.state JOIN statuses e ON e.name = n.effect)
        AS "json:notices",
    (SELECT min(id) FROM chosen) AS last,
    EXISTS (SELECT 1 FROM notices WHERE organization_id = ?1 AND public AND ?2 = 0
        AND state IN ('resolved', 'completed', 'cancelled') AND id < (SELECT min(id) FROM chosen)) AS older
