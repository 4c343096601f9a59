-- write_entries: say what a scheduler enqueues, and when.
--
-- KEYS  1 entries of the scheduler
-- ARGV  1 seconds until they are forgotten, a whole number (Q-27)  2 … the entries
-- Returns "OK".
-- Peer  asynq (Go) internal/rdb/rdb.go writeSchedulerEntriesCmd; wire format 6.
local entries = KEYS[1]
redis.call('DEL', entries)
for i = 2, #ARGV do
  redis.call('LPUSH', entries, ARGV[i])
end
redis.call('EXPIRE', entries, ARGV[1])
return 'OK'
