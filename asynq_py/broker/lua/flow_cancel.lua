-- flow_cancel: end a flow that runs: nothing more of it is enqueued. Steps that are stay in "out", for who cancels them.
--
-- KEYS  1 flow  2 ready  3 out
-- ARGV  1 now, unix seconds  2 seconds the flow lives without a change
-- Returns 1; 0 when it had ended already; -1 when there is none.
-- Peer  none: asynq (Go) has no flows; wire format 2.2 has no such keys.
-- include _flow
local flow, ready, out = unpack(KEYS)
check_sets(ready, out)
local now, life = ARGV[1], ARGV[2]
local status = redis.call('HGET', flow, 'status')
if status ~= 'running' then
  return status and 0 or -1
end
redis.call('DEL', ready)
redis.call('HSET', flow, 'status', 'cancelled', 'ended_at', now, 'changed_at', now)
keep(flow, ready, out, life)
return 1
