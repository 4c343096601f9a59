-- expire: forget completed tasks whose retention has ended.
--
-- KEYS  1 completed
-- ARGV  1 task key prefix  2 now, unix seconds  3 tasks forgotten at most
-- Returns how many were forgotten; below ARGV 3 nothing is left to forget.
-- Peer  asynq (Go) internal/rdb/rdb.go deleteExpiredCompletedTasksCmd; wire format 5.17.
local completed = KEYS[1]
local prefix, now, step = ARGV[1], ARGV[2], ARGV[3]
local ids = redis.call('ZRANGEBYSCORE', completed, '-inf', now, 'LIMIT', 0, step)
for _, id in ipairs(ids) do
  if redis.call('DEL', prefix .. id) == 0 then
    redis.call('EXISTS', prefix .. id, completed) -- a Cluster where it has not come yet ends the call here
  end
  redis.call('ZREM', completed, id)
end
return #ids
