-- complete: keep tasks that succeeded until their retention ends.
--
-- KEYS  1 active  2 lease  3 completed  4 processed that day  5 processed in all
-- ARGV  1 task key prefix  2 end of the day counter, unix seconds  3 highest counter value
--       then for each task: ID, lease token, unique lock key or "", message, end of retention in unix seconds
-- Returns one number per task: 1 completed, 0 no longer ours (nothing is changed then).
-- An ID that is in completed already, a left-over, is simply given its new time (Q-13).
-- Peer  asynq (Go) internal/rdb/rdb.go markAsCompleteCmd, markAsCompleteUniqueCmd; wire format 5.8.
-- include _lease
-- include _count
-- include _unlock
local active, lease, completed, today, total = unpack(KEYS)
local prefix, day_ends_at, highest = ARGV[1], ARGV[2], ARGV[3]
check_counters(today, total)
redis.call('ZCARD', completed)  -- refuses a key of another type before anything is written
local answers, finished = {}, 0
local ours = release(active, lease, 4, 5, prefix)
for i = 4, #ARGV, 5 do
  local id, lock, message, expires_at = ARGV[i], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local answer = 0
  if ours[id] == i then
    redis.call('ZADD', completed, expires_at, id)
    redis.call('HSET', prefix .. id, 'msg', message, 'state', 'completed')
    redis.call('HDEL', prefix .. id, 'crashes')
    unlock(lock, id)
    finished = finished + 1
    answer = 1
  end
  answers[#answers + 1] = answer
end
count_success(today, total, finished, day_ends_at, highest)
return answers
