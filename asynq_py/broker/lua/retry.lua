-- retry: put tasks whose try failed where they wait for the next one.
--
-- KEYS  1 active  2 lease  3 retry  4 processed that day  5 failed that day  6 processed in all  7 failed in all
-- ARGV  1 task key prefix  2 end of the day counters, unix seconds  3 highest counter value
--       then for each task: ID, lease token, message, time of the next try in unix seconds, "1" if it counts
--       as a failure
-- Returns one number per task: 1 will be retried, 0 no longer ours (nothing is changed then).
-- Peer  asynq (Go) internal/rdb/rdb.go retryCmd; wire format 5.9.
-- include _lease
-- include _count
local active, lease, retry, processed_today, failed_today, processed, failed = unpack(KEYS)
local prefix, day_ends_at, highest = ARGV[1], ARGV[2], ARGV[3]
check_counters(processed_today, failed_today, processed, failed)
redis.call('ZCARD', retry)  -- refuses a key of another type before anything is written
local answers, failures = {}, 0
local ours = release(active, lease, 4, 5, prefix)
for i = 4, #ARGV, 5 do
  local id, message, retry_at, counts = ARGV[i], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local answer = 0
  if ours[id] == i then
    redis.call('ZADD', retry, retry_at, id)
    redis.call('HSET', prefix .. id, 'msg', message, 'state', 'retry')
    redis.call('HDEL', prefix .. id, 'crashes')
    if counts == '1' then
      failures = failures + 1
    end
    answer = 1
  end
  answers[#answers + 1] = answer
end
count_failure(processed_today, failed_today, processed, failed, failures, day_ends_at, highest)
return answers
