-- flow_fail: a step failed for good, and with it the flow.
--
-- KEYS  1 flow  2 ready  3 out
-- ARGV  1 ID of the step  2 how: archived, gone or refused  3 the error  4 now, unix seconds  5 seconds the flow lives
--       without a change
-- Returns "FAILED"; "OLD" when the step had ended already; "OVER" when the flow had; "GONE" when there is none.
-- Peer  none: asynq (Go) has no flows; wire format 2.2 has no such keys.
-- include _flow
local flow, ready, out = unpack(KEYS)
check_sets(ready, out)
local id, how, error_text, now, life = unpack(ARGV)
local status, standing = redis.call('HGET', flow, 'status'), redis.call('HGET', flow, 's:' .. id)
if not status or not standing then
  return 'GONE'
end
if standing == 'done' or standing == 'failed' then
  return 'OLD'
end
redis.call('ZREM', out, id)
redis.call('ZREM', ready, id)
redis.call('HSET', flow, 's:' .. id, status == 'cancelled' and 'cancelled' or 'failed', 'changed_at', now)
local answer = 'OVER'
if status == 'running' then
  answer = 'FAILED'
  redis.call('HSET', flow, 'status', 'failed', 'ended_at', now, 'error', error_text, 'failed', id, 'how', how)
  follow(flow, ready, 'on_failure')
  if how == 'archived' then
    follow(flow, ready, 'on_archive')
  end
end
keep(flow, ready, out, life)
return answer
