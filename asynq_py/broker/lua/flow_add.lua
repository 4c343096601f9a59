-- flow_add: write down steps of a flow that has not begun.
--
-- KEYS  1 flow  2 ready
-- ARGV  1 seconds until it is forgotten, unless it begins  then for each step: ID, definition, IDs of the steps that
--       wait for it, separated by blanks, number of steps it waits for, or -1: a follow-up
-- Returns 1, or 0 when the flow has begun (nothing is changed then).
-- Peer  none: asynq (Go) has no flows; wire format 2.2 has no such keys.
local flow, ready = unpack(KEYS)
redis.call('ZCARD', ready)  -- refuses a key of another type before anything is written
local ttl = ARGV[1]
if redis.call('HEXISTS', flow, 'status') == 1 then
  return 0
end
for i = 2, #ARGV, 4 do
  local id, definition, next, missing = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  local standing = 'waiting'
  if missing == -1 then
    standing = 'idle'
  elseif missing == 0 then
    standing = 'ready'
    redis.call('ZADD', ready, 0, id)
  end
  redis.call('HSET', flow, 's:' .. id, standing, 'd:' .. id, definition)
  if next ~= '' then
    redis.call('HSET', flow, 'x:' .. id, next)
  end
  if missing > 0 then
    redis.call('HSET', flow, 'w:' .. id, missing)
  end
end
redis.call('EXPIRE', flow, ttl)
redis.call('EXPIRE', ready, ttl)
return 1
