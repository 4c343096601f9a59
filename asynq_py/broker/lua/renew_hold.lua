-- renew_hold: say that a hold is still in use.
--
-- KEYS  1 holds, with the end of their lease  2 pace: how long holds last of late
-- ARGV  1 now, microseconds  2 name of the hold  3 its lease, microseconds  4 how long it lasts by now,
--       microseconds
-- Returns 1, or 0 when the hold was lost: its lease was over (nothing is changed then).
-- Peer  none: the semaphore of asynq (Go) keeps a token until the deadline of its try, wire format 2.4.
local holds, pace = unpack(KEYS)
local name, lease, held = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if not redis.call('ZSCORE', holds, name) then
  return 0
end
local usual = math.max(tonumber(redis.call('GET', pace) or '0') or 0, math.min(held, 10000000))
redis.call('ZADD', holds, tonumber(ARGV[1]) + lease, name)
redis.call('PEXPIRE', holds, math.ceil(lease / 1000) + 60000)
redis.call('SET', pace, usual, 'PX', 3600000)
return 1
