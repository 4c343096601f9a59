-- set_aside: archive tasks of an aggregation set that cannot be read, so that the others go on without them.
--
-- KEYS  1 set  2 archived
-- ARGV  1 task key prefix  2 now, unix seconds; then for each task: ID, message
-- Returns how many were archived; one that is no longer in the set is left alone.
-- Peer  none in asynq (Go): there an unreadable task fails its whole group for ever; wire format 5.14.
local set, archived = unpack(KEYS)
local prefix, now = ARGV[1], ARGV[2]
redis.call('ZCARD', archived) -- a key of another type is refused before anything is written
local n = 0
for i = 3, #ARGV, 2 do
  local id, message = ARGV[i], ARGV[i + 1]
  redis.call('HLEN', prefix .. id)
  if redis.call('ZREM', set, id) == 1 then
    redis.call('ZADD', archived, now, id)
    redis.call('HSET', prefix .. id, 'msg', message, 'state', 'archived')
    n = n + 1
  end
end
return n
