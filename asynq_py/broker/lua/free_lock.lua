-- free_lock: find out whether a unique lock outlived its task, and free it.
--
-- KEYS  1 lock
-- ARGV  1 task key prefix  2 "1": free it; "0": only look
-- Returns 1: the task that holds it is gone; else 0, and nothing is changed.
-- Peer  none in asynq (Go), where it lasts for its time (Q-03, Q-15); wire format 2.5.
local lock, prefix = KEYS[1], ARGV[1]
local holder = redis.pcall('GET', lock)
if type(holder) ~= 'string' or redis.call('EXISTS', prefix .. holder) == 1 then
  return 0
end
if ARGV[2] == '1' then
  redis.call('DEL', lock)
end
return 1
