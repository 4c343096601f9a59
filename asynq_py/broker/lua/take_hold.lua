-- take_hold: become one of so many at once, or say when that may be possible.
--
-- KEYS  1 holds, with the end of their lease  2 line  3 pace: how long holds last of late
-- ARGV  1 now, microseconds  2 who waits in line, or ""  3 holds at once  4 name of this hold, unlike any other
--       5 its lease, microseconds
-- Returns two numbers: 1 taken or 0, and microseconds to wait.
-- Peer  none: asynq (Go) has a semaphore that keeps no line, wire format 2.4.
-- include _line
local holds, line, pace = unpack(KEYS)
local now, who, size = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local name, lease = ARGV[4], tonumber(ARGV[5])
redis.call('ZCARD', line) -- keys of another type are refused before anything is written
local usual = tonumber(redis.call('GET', pace) or '')
redis.call('ZREMRANGEBYSCORE', holds, '-inf', now)
local free = size - redis.call('ZCARD', holds)
local before, due = ahead(line, now, who)
if free < due + 1 then
  if not usual then -- none has ended yet: they last at least as long as the oldest is held
    local oldest = redis.call('ZRANGE', holds, 0, 0, 'WITHSCORES')
    local held = oldest[2] and now + lease - tonumber(oldest[2]) or 0
    usual = math.min(math.max(held, 100000), 10000000)
  end
  return refused(line, now, who, usual * (before + 1 - math.max(free, 0)) / size)
end
redis.call('ZADD', holds, now + lease, name)
redis.call('PEXPIRE', holds, math.ceil((lease + SKEW) / 1000))
return admitted(line, who)
