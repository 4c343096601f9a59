-- queue_counts: count the tasks of a queue by their states, and what was counted before.
--
-- KEYS  1 pending  2 active  3 scheduled  4 retry  5 archived  6 completed  7 processed that day
--       8 failed that day  9 processed in all  10 failed in all  11 groups  12 paused
-- ARGV  1 task key prefix
-- Returns the twelve numbers in this order (of groups their number, of paused 0 or 1), then since when the next
-- task is pending, unix nanoseconds (or nil). Nothing is changed.
-- Peer  asynq (Go) internal/rdb/inspect.go currentStatsCmd; wire format 7.1.
local pending, prefix = KEYS[1], ARGV[1]
local counts = {redis.call('LLEN', pending), redis.call('LLEN', KEYS[2])}
for i = 3, 6 do
  counts[i] = redis.call('ZCARD', KEYS[i])
end
for i = 7, 10 do
  counts[i] = redis.call('GET', KEYS[i]) or '0' -- as text: a number of Lua would lose digits
end
counts[11] = redis.call('SCARD', KEYS[11])
counts[12] = redis.call('EXISTS', KEYS[12])
local next_id = redis.call('LINDEX', pending, -1)
counts[13] = next_id and redis.call('HGET', prefix .. next_id, 'pending_since')
return counts
