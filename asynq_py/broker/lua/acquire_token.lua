-- acquire_token: take a token of a semaphore for a task, or find that all are taken.
--
-- KEYS  1 semaphore: task IDs, with the deadline of their try
-- ARGV  1 now, unix seconds  2 tokens there are  3 deadline of the try, unix seconds  4 task ID
-- Returns 1, or 0 when all are taken. A task that has one keeps it, with the new deadline.
-- Peer  asynq (Go) x/rate/semaphore.go acquireCmd, where such a task may be refused; wire format 2.4.
local semaphore = KEYS[1]
local now, tokens, deadline, id = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
redis.call('ZREMRANGEBYSCORE', semaphore, '-inf', now - 1)
if redis.call('ZCARD', semaphore) >= tokens and not redis.call('ZSCORE', semaphore, id) then
  return 0
end
redis.call('ZADD', semaphore, deadline, id)
return 1
