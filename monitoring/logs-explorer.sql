-- Queries for the dashboard's Logs Explorer (Logs > Explorer), which runs on ClickHouse: one table
-- `logs`, one row a line that the function printed, the line itself in event_message.
-- https://supabase.com/docs/guides/monitoring-and-debugging/advanced-log-filtering
-- Choose the time range in the dashboard, paste one query, replace what stands in <angle brackets>.
-- They read LOG_FORMAT=json, the default.

-- The newest requests: one line each, from the summary that every request ends with.
select
  timestamp,
  JSONExtractString(event_message, 'outcome') as outcome,
  JSONExtractString(event_message, 'code') as code,
  JSONExtractInt(event_message, 'status') as status,
  JSONExtractInt(event_message, 'durationMs') as duration_ms,
  JSONExtractString(event_message, 'region') as region,
  JSONExtractString(event_message, 'machineId') as machine_id,
  JSONExtractString(event_message, 'requestId') as request_id
from logs
where source = 'function_logs' and event_message like '%"provision-machine finished: %'
order by timestamp desc
limit 100;

-- Everything about one request, in order.
select timestamp, JSONExtractString(event_message, 'level') as level, event_message
from logs
where source = 'function_logs' and JSONExtractString(event_message, 'requestId') = '<request id>'
order by timestamp asc
limit 20;

-- Everything about one machine, in order: its request, its destruction, what reconcile did.
select timestamp, JSONExtractString(event_message, 'level') as level, event_message
from logs
where source = 'function_logs' and event_message like '%<machine id>%'
order by timestamp asc
limit 100;

-- Failures by code, with the newest request of each to look at.
select
  JSONExtractString(event_message, 'code') as code,
  count() as failures,
  max(timestamp) as newest,
  argMax(JSONExtractString(event_message, 'requestId'), timestamp) as newest_request_id
from logs
where source = 'function_logs' and event_message like '%"provision-machine finished: %'
  and JSONExtractInt(event_message, 'status') >= 500
group by code
order by failures desc
limit 50;

-- Success and failure by hour.
select
  toStartOfHour(timestamp) as hour,
  countIf(JSONExtractInt(event_message, 'status') < 300) as succeeded,
  countIf(JSONExtractInt(event_message, 'status') between 300 and 499) as refused,
  countIf(JSONExtractInt(event_message, 'status') >= 500) as failed
from logs
where source = 'function_logs' and event_message like '%"provision-machine finished: %'
group by hour
order by hour desc
limit 168;

-- The slowest requests, and the phase that took so long.
select
  timestamp,
  JSONExtractInt(event_message, 'durationMs') as duration_ms,
  JSONExtractInt(event_message, 'ms', 'auth') as auth_ms,
  JSONExtractInt(event_message, 'ms', 'claim') as claim_ms,
  JSONExtractInt(event_message, 'ms', 'slot') as slot_ms,
  JSONExtractInt(event_message, 'ms', 'create') as create_ms,
  JSONExtractInt(event_message, 'ms', 'wait') as wait_ms,
  JSONExtractInt(event_message, 'ms', 'finish') as finish_ms,
  JSONExtractInt(event_message, 'attempts') as attempts,
  JSONExtractString(event_message, 'requestId') as request_id
from logs
where source = 'function_logs' and event_message like '%"provision-machine finished: %'
order by duration_ms desc
limit 50;

-- What Fly.io's support asks for: the fly-request-id of each failed call, with Fly.io's own words.
select
  timestamp,
  JSONExtractString(event_message, 'flyRequestId') as fly_request_id,
  JSONExtractInt(event_message, 'flyStatus') as fly_status,
  JSONExtractString(event_message, 'flyBody') as fly_body,
  JSONExtractString(event_message, 'machineId') as machine_id
from logs
where source = 'function_logs' and JSONExtractString(event_message, 'level') = 'error'
  and JSONExtractString(event_message, 'flyRequestId') != ''
order by timestamp desc
limit 100;

-- Alerts that the webhook did not take.
select timestamp, JSONExtractString(event_message, 'error', 'message') as reason, event_message
from logs
where source = 'function_logs' and event_message like '%"The alert webhook failed%'
order by timestamp desc
limit 50;
