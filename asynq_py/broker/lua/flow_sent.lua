-- flow_sent: what was to be enqueued is enqueued.
--
-- KEYS  1 flow  2 ready  3 out
-- ARGV  1 now, unix seconds  2 seconds the flow lives without a change  then IDs of steps and follow-ups
-- Returns how many of them were to be enqueued.
-- Peer  none: asynq (Go) has no flows; wire format 2.2 has no such keys.
-- include _flow
local flow, ready, out = unpack(KEYS)
check_sets(ready, out)
local now, life = ARGV[1], ARGV[2]
redis.call('HLEN', flow)
local count = 0
for i = 3, #ARGV do
  local id = ARGV[i]
  local score = redis.call('ZSCORE', ready, id)
  if score then
    redis.call('ZREM', ready, id)
    redis.call('HSET', flow, 's:' .. id, 'sent')
    if tonumber(score) == 0 then
      redis.call('ZADD', out, now, id)
    end
    count = count + 1
  end
end
keep(flow, ready, out, life)
return count
