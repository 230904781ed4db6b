\if :rest
-- A login (session) is the family of its refresh tokens. The next token is made when the one before is spent, so that there
-- is one live one as long as the login is. Two seconds for a refresh that began before the end was committed.
\o :out.tokens
SELECT 'login', id, 'was ended by', end_reason, 'but lives' FROM sessions WHERE ended_at IS NULL AND end_reason IS NOT NULL;
SELECT 'login', s.id, 'has', count(t.digest), 'live refresh tokens' FROM sessions s
    LEFT JOIN refresh_tokens t ON t.session_id = s.id AND t.spent_at IS NULL
    WHERE s.ended_at IS NULL AND s.expires_at > now() GROUP BY s.id HAVING count(t.digest) <> 1;
SELECT 'login', s.id, 'ended', s.ended_at, 'by', s.end_reason, 'and was renewed', max(t.created_at)
    FROM sessions s JOIN refresh_tokens t ON t.session_id = s.id
    WHERE t.created_at > s.ended_at + interval '2 s' GROUP BY s.id;
SELECT 'login', s.id, 'had a spent token used again, but lives' FROM audit_log a JOIN sessions s ON s.id = a.session_id
    WHERE a.type = 'token_reused' AND s.ended_at IS NULL;
SELECT 'login', s.id, 'lives, but its account', s.user_id, 'is closed' FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE u.status <> 'active' AND s.ended_at IS NULL AND s.expires_at > now();
\o :out.sessions
SELECT count(*) FROM sessions;
\endif
