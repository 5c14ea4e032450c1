DROP VIEW IF EXISTS persons;
CREATE VIEW persons AS
SELECT p.user_id AS id, u.name, p.role, p.private,
    upper(substr(u.name, 1, 1)) || '.' || iif(instr(u.name, ' '), ' ' || upper(substr(u.name, instr(u.name, ' ') + 1, 1)) || '.', '') AS initials
FROM people p JOIN users u ON u.id = p.user_id;

-- Who may have which ticket, and as what: the rule of the help desk, for its channels, its pages and its files.
DROP VIEW IF EXISTS access;
CREATE VIEW access AS
SELECT t.id AS ticket_id, t.uuid, p.user_id,
    CASE p.role
        WHEN 'admin' THEN 'agent'
        WHEN 'agent' THEN iif(t.assigned_to_id IS p.user_id OR t.created_by_id = p.user_id
            OR EXISTS (SELECT 1 FROM office_people o WHERE o.office_id = t.office_id AND o.user_id = p.user_id), 'agent', NULL)
        WHEN 'customer' THEN iif(t.created_by_id = p.user_id, 'customer', NULL)
    END AS audience
FROM tickets t CROSS JOIN people p;
