-- What pages and API show.

DROP VIEW IF EXISTS server_resources;
CREATE VIEW server_resources AS
SELECT s.id, s.user_id, s.name, s.provision_status, s.error, s.revision,
    (SELECT json_group_array(json_object('step', t.step, 'name', n.name, 'status', json_object(
            'isPending', json(iif(t.status = 'pending', 'true', 'false')),
            'isInstalling', json(iif(t.status = 'installing', 'true', 'false')),
            'isCompleted', json(iif(t.status = 'completed', 'true', 'false')),
            'isFailed', json(iif(t.status = 'failed', 'true', 'false')))))
        FROM (SELECT * FROM steps WHERE server_id = s.id ORDER BY step) t JOIN step_names n USING (step)) AS "json:steps",
    (SELECT json_group_array(json_object('id', id, 'name', name)) FROM sites WHERE server_id = s.id) AS "json:sites",
    (SELECT json_group_array(json_object('id', id, 'name', name, 'completed', json(iif(completed_at, 'true', 'false'))))
        FROM (SELECT * FROM tasks WHERE server_id = s.id ORDER BY id DESC LIMIT 5)) AS "json:tasks"
FROM servers s;
