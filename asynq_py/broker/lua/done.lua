-- done: forget tasks that succeeded and keep no result, or were revoked.
--
-- KEYS  1 active  2 lease  3 processed that day  4 processed in all
-- ARGV  1 task key prefix  2 end of the day counter, unix seconds  3 highest counter value
--       then for each task: ID, lease token, unique lock key or ""
-- Returns one number per task: 1 done, 0 no longer ours (nothing is changed then).
-- Peer  asynq (Go) internal/rdb/rdb.go doneCmd, doneUniqueCmd; wire format 5.7.
-- include _lease
-- include _count
-- include _unlock
local active, lease, today, total = unpack(KEYS)
local prefix, day_ends_at, highest = ARGV[1], ARGV[2], ARGV[3]
check_counters(today, total)
local answers, finished = {}, 0
for i = 4, #ARGV, 3 do
  local id, token, lock = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local answer = 0
  redis.call('EXISTS', prefix .. id) -- a Cluster that is just moving the task away ends the call here
  if release(active, lease, id, token) then
    redis.call('DEL', prefix .. id)
    unlock(lock, id)
    finished = finished + 1
    answer = 1
  end
  answers[#answers + 1] = answer
end
count_success(today, total, finished, day_ends_at, highest)
return answers
