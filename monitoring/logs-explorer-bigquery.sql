-- The most needed of the queries in logs-explorer.sql for projects whose Logs Explorer still has a
-- table a source, with fields behind unnest(metadata): self-hosted ones on Logflare's BigQuery backend.
-- https://supabase.com/docs/reference/self-hosting-analytics/introduction

-- The newest requests: one line each, from the summary that every request ends with.
select
  cast(timestamp as datetime) as timestamp,
  json_value(event_message, '$.code') as code,
  json_value(event_message, '$.status') as status,
  json_value(event_message, '$.durationMs') as duration_ms,
  json_value(event_message, '$.machineId') as machine_id,
  json_value(event_message, '$.requestId') as request_id
from function_logs
where regexp_contains(event_message, '"provision-machine finished: ')
order by timestamp desc
limit 100;

-- Everything that was printed as an error.
select cast(t.timestamp as datetime) as timestamp, m.level, m.execution_id, t.event_message
from function_logs as t
  cross join unnest(metadata) as m
where m.level = 'error'
order by t.timestamp desc
limit 100;

-- Everything about one request, in order.
select cast(t.timestamp as datetime) as timestamp, m.level, t.event_message
from function_logs as t
  cross join unnest(metadata) as m
where regexp_contains(t.event_message, '"requestId":"<request id>"')
order by t.timestamp asc
limit 20;
