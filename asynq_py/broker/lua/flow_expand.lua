-- flow_expand: make a step for each item of what a step takes, in several calls; with the last all of them are ready.
--
-- KEYS  1 flow  2 ready  3 out
-- ARGV  1 ID of the step  2 how many items there are, in the last call, or else 0  3 now, unix seconds  4 seconds the
--       flow lives without a change  then for each of these items: ID of its step, definition
-- Returns 1, or 0 when the step is not to be made into others, or no more (nothing is changed then).
-- Peer  none: asynq (Go) has no flows; wire format 2.2 has no such keys.
-- include _flow
local flow, ready, out = unpack(KEYS)
check_sets(ready, out)
local id, count, now, life = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
if redis.call('HGET', flow, 's:' .. id) ~= 'ready' then
  return 0
end
for i = 5, #ARGV, 2 do
  redis.call('HSET', flow, 'd:' .. ARGV[i], ARGV[i + 1])
end
if count > 0 then
  redis.call('ZREM', ready, id)
  for item = 0, count - 1 do
    local one = id .. '.' .. item
    redis.call('HSET', flow, 's:' .. one, 'ready', 'x:' .. one, id)
    redis.call('ZADD', ready, 0, one)
  end
  redis.call('HSET', flow, 's:' .. id, 'waiting', 'w:' .. id, count, 'n:' .. id, count, 'changed_at', now)
  redis.call('HINCRBY', flow, 'total', count)
  keep(flow, ready, out, life)
end
return 1
