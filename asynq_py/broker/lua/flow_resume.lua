-- flow_resume: let a flow that failed go on, because the steps that failed will be tried again.
--
-- KEYS  1 flow  2 ready  3 out
-- ARGV  1 now, unix seconds  2 seconds the flow lives without a change  then for each step: ID, "1" if
--       its task is there, or else it is enqueued anew
-- Returns how many of them had failed; if none had, nothing is changed.
-- Peer  none: asynq (Go) has no flows; wire format 2.2 has no such keys.
-- include _flow
local flow, ready, out = unpack(KEYS)
check_sets(ready, out)
local now, life = ARGV[1], ARGV[2]
if redis.call('HGET', flow, 'status') ~= 'failed' then
  return 0
end
local count = 0
for i = 3, #ARGV, 2 do
  local id = ARGV[i]
  if redis.call('HGET', flow, 's:' .. id) == 'failed' then
    if ARGV[i + 1] == '1' then
      redis.call('HSET', flow, 's:' .. id, 'sent')
      redis.call('ZADD', out, now, id)
    else
      redis.call('HSET', flow, 's:' .. id, 'ready')
      redis.call('ZADD', ready, 0, id)
    end
    count = count + 1
  end
end
if count > 0 then
  redis.call('HSET', flow, 'status', 'running', 'changed_at', now)
  redis.call('HDEL', flow, 'error', 'failed', 'how', 'ended_at')
  keep(flow, ready, out, life)
end
return count
