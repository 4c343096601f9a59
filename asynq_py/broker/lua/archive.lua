-- archive: put tasks aside that failed for good, and forget the oldest of the archive.
--
-- KEYS  1 active  2 lease  3 archived  4 processed that day  5 failed that day  6 processed in all
--       7 failed in all
-- ARGV  1 task key prefix  2 end of the day counters, unix seconds  3 highest counter value
--       4 now, unix seconds  5 archived before this time: forgotten  6 tasks the archive keeps
--       7 tasks forgotten at most in one call; then for each task: ID, lease token, message
-- Returns one number per task: 1 archived, 0 no longer ours (nothing is changed then).
-- Peer  asynq (Go) internal/rdb/rdb.go archiveCmd; wire format 5.10.
-- include _lease
-- include _count
-- include _unlock
-- include _trim
local active, lease, archived, processed_today, failed_today, processed, failed = unpack(KEYS)
local prefix, day_ends_at, highest = ARGV[1], ARGV[2], ARGV[3]
local now, cutoff, capacity, step = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])

check_counters(processed_today, failed_today, processed, failed)
redis.call('ZCARD', archived)  -- refuses a key of another type before anything is written
local answers, failures = {}, 0
local ours = release(active, lease, 8, 3, prefix)
for i = 8, #ARGV, 3 do
  local id, message = ARGV[i], ARGV[i + 2]
  local answer = 0
  if ours[id] == i then
    redis.call('ZADD', archived, now, id)
    redis.call('HSET', prefix .. id, 'msg', message, 'state', 'archived')
    redis.call('HDEL', prefix .. id, 'crashes')
    failures = failures + 1
    answer = 1
  end
  answers[#answers + 1] = answer
end
if failures > 0 then
  trim(archived, prefix, cutoff, capacity, step)
end
count_failure(processed_today, failed_today, processed, failed, failures, day_ends_at, highest)
return answers
