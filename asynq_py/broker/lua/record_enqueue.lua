-- record_enqueue: remember what an entry of a scheduler enqueued; the last 1000 times.
--
-- KEYS  1 history of the entry
-- ARGV  1 unix seconds  2 event  3 seconds until the history is forgotten (Q-26)
-- Returns "OK".
-- Peer  asynq (Go) internal/rdb/rdb.go recordSchedulerEnqueueEventCmd; wire format 6.
local history = KEYS[1]
local at, event, ttl = ARGV[1], ARGV[2], ARGV[3]
redis.call('ZREMRANGEBYRANK', history, 0, -1000)
redis.call('ZADD', history, at, event)
redis.call('EXPIRE', history, ttl)
return 'OK'
