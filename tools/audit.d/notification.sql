-- What a sender holds, or what waits longer for its next try, is late but not lost.
SELECT count(*), 'messages to send' FROM deliveries
    WHERE status = 'pending' AND next_attempt_at < now() + interval '10 s' HAVING count(*) > 0;
\if :rest
\o :out.twice
SELECT 'message', message_id, 'is', count(*), 'mails' FROM deliveries WHERE channel = 'email'
    GROUP BY message_id HAVING count(*) > 1;
SELECT 'event', event_id, template, channel, 'goes to', count(*) FROM deliveries
    GROUP BY event_id, template, channel HAVING count(*) > 1;
SELECT 'delivery', id, 'of', event_id, 'is for an event never heard' FROM deliveries d
    WHERE NOT EXISTS (SELECT 1 FROM inbox i WHERE i.event_id = d.event_id)
    AND d.created_at > now() - interval '30 days';
-- For the mail server's side: how often each may have come, and since when it must be there.
\o :out.mails
COPY (SELECT message_id, status, attempts + earlier_attempts, coalesce(extract(epoch FROM sent_at), 0) FROM deliveries
    WHERE channel = 'email' AND message_id IS NOT NULL) TO STDOUT WITH (DELIMITER ' ');
\endif
