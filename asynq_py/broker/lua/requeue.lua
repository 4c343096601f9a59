-- requeue: hand tasks back that were taken but not finished; they run next.
--
-- KEYS  1 active  2 lease  3 pending
-- ARGV  1 task key prefix  2 now, unix nanoseconds; then for each task, next to run first: ID, lease token
-- Returns one number per task: 1 handed back, 0 no longer ours (nothing is changed then).
-- Peer  asynq (Go) internal/rdb/rdb.go requeueCmd; wire format 5.11.
-- include _lease
local active, lease, pending = unpack(KEYS)
local prefix, now = ARGV[1], ARGV[2]
redis.call('LLEN', pending)  -- refuses a key of another type before anything is written
local answers = {}
local ours = release(active, lease, 3, 2, prefix)
for i = #ARGV - 1, 3, -2 do
  local id = ARGV[i]
  local answer = 0
  if ours[id] == i and redis.call('HEXISTS', prefix .. id, 'msg') == 1 then
    redis.call('RPUSH', pending, id)
    redis.call('HSET', prefix .. id, 'state', 'pending', 'pending_since', now)
    answer = 1
  end
  answers[(i - 1) / 2] = answer
end
return answers
