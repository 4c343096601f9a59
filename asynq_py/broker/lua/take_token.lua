-- take_token: take a token out of a bucket, or say when there will be one.
--
-- KEYS  1 bucket  2 line
-- ARGV  1 now, microseconds  2 who waits in line, or ""  3 tokens that come in  4 so many microseconds
--       5 tokens that the bucket holds
-- Returns two numbers: 1 taken or 0, and microseconds to wait.
-- Peer  none: asynq (Go) has no such limit; its own is wire format 2.4.
-- include _line
local bucket, line = unpack(KEYS)
local now, who, count = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local period, burst = tonumber(ARGV[4]), tonumber(ARGV[5])
-- A token is worth `period` credits, and each microsecond brings `count`: whole numbers, which never drift.
local full, credit, at = burst * period, burst * period, now
local was = redis.call('HMGET', bucket, 'credit', 'at', 'period')
if was[1] then
  local past = tonumber(was[2])
  if past <= now + SKEW then -- else that clock was wrong
    at = math.max(now, past)
  end
  local tokens = tonumber(was[3]) == period and tonumber(was[1]) or tonumber(was[1]) / tonumber(was[3]) * period
  credit = math.min(full, tokens + math.max(at - past, 0) * count)
end
local before, due = ahead(line, now, who)
if credit < (due + 1) * period then
  return refused(line, now, who, at - now + ((before + 1) * period - credit) / count)
end
credit = credit - period
redis.call('HSET', bucket, 'credit', credit, 'at', at, 'period', period)
redis.call('PEXPIRE', bucket, math.ceil(((full - credit) / count + SKEW) / 1000)) -- a full one is like none
return admitted(line, who)
