-- take_turn: take a turn in a sliding window, or say when one will be free.
--
-- KEYS  1 turns taken, with their time  2 line
-- ARGV  1 now, microseconds  2 who waits in line, or ""  3 turns in a window  4 its length, microseconds
--       5 name of this turn, unlike any other
-- Returns two numbers: 1 taken or 0, and microseconds to wait.
-- Peer  none: asynq (Go) has no such limit; its own is wire format 2.4.
-- include _line
local turns, line = unpack(KEYS)
local now, who, count = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local period, name = tonumber(ARGV[4]), ARGV[5]
redis.call('ZCARD', line) -- refuses a key of another type before anything is written
redis.call('ZREMRANGEBYSCORE', turns, '-inf', now - period)
local taken = redis.call('ZCARD', turns)
local before, due = ahead(line, now, who)
if count - taken < due + 1 then
  -- of those ahead, `count` go in each window; then it is the turn of what was taken longest ago
  local windows, nth = math.floor(before / count), before % count + 1 - count + taken
  local wait = windows * period
  if nth > 0 then
    local oldest = redis.call('ZRANGE', turns, nth - 1, nth - 1, 'WITHSCORES')
    wait = wait + tonumber(oldest[2]) + period - now
  end
  return refused(line, now, who, wait)
end
local at = now
local last = redis.call('ZRANGE', turns, -1, -1, 'WITHSCORES')
if last[2] and tonumber(last[2]) <= now + SKEW then -- else that clock was wrong
  at = math.max(now, tonumber(last[2]))
end
redis.call('ZADD', turns, at, name)
redis.call('PEXPIRE', turns, math.ceil((period + SKEW) / 1000))
return admitted(line, who)
