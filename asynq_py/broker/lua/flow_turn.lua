-- flow_turn: take flows that are to be looked at, so that no other server looks at them just now.
--
-- KEYS  1 flows
-- ARGV  1 now, unix seconds  2 when they are looked at again, unless something else is said  3 flows at most
-- Returns their IDs, those first that wait longest.
-- Peer  none: asynq (Go) has no flows; wire format 2.1 has no such key.
local flows = KEYS[1]
local now, again_at, count = unpack(ARGV)
local ids = redis.call('ZRANGEBYSCORE', flows, '-inf', now, 'LIMIT', 0, count)
for _, id in ipairs(ids) do
  redis.call('ZADD', flows, again_at, id)
end
return ids
