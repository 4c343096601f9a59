-- ask_to_cancel: leave word with a running task that it shall be cancelled; whoever runs it reads that at its next beat.
--
-- KEYS  1 task  2 lease
-- ARGV  1 task ID
-- Returns 1 it is running, 0 it is not (nothing is changed then), as far as this queue can tell.
-- The word names the try by its token, so that none after it is cancelled.
-- Peer  none: asynq (Go) publishes the ID, which is lost where nobody listens (Q-42); wire format 6.
local task, lease = KEYS[1], KEYS[2]
local id = ARGV[1]
local score = redis.pcall('ZSCORE', lease, id) -- a lease of another type harms no other queue
if type(score) ~= 'string' or redis.call('HEXISTS', task, 'msg') == 0 then
  return 0
end
redis.call('HSET', task, 'cancel', math.floor((tonumber(score) % 1) * 1000000 + 0.5))
return 1
