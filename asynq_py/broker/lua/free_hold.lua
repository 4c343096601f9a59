-- free_hold: give a hold back.
--
-- KEYS  1 holds, with the end of their lease  2 pace: how long holds last of late
-- ARGV  1 name of the hold  2 how long it lasted, microseconds
-- Returns 1, or 0 when the hold was lost: its lease was over.
-- Peer  none: the semaphore of asynq (Go) gives tokens back by the task's ID, wire format 2.4.
local holds, pace = unpack(KEYS)
local held = math.min(tonumber(ARGV[2]), 10000000)
local usual = tonumber(redis.call('GET', pace) or held) or held
if redis.call('ZREM', holds, ARGV[1]) == 0 then
  return 0
end
redis.call('SET', pace, math.ceil(usual + (held - usual) / 5), 'PX', 3600000)
return 1
