-- Included by take_hold, take_token, take_turn: the line of those who wait before a limit.
--
-- Who waits → when it shall come again, microseconds. Who is due goes before those who come anew, so nobody
-- starves. Its place is kept free for some seconds; whoever comes later, as its queue is long, still goes before
-- others, if it is no later than a day. Whose task is gone holds nobody up for long.
local RESERVED, LOST, SKEW = 10000000, 86400000000, 60000000

-- Returns how many are ahead, and how many of these are due now. Who is due itself lets nobody go first.
local function ahead(line, now, who)
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', line, '-inf', now - LOST, 'LIMIT', 0, 100)) do
    redis.call('ZREM', line, gone)
  end
  local late = redis.call('ZCOUNT', line, '-inf', now - RESERVED)
  local place = tonumber(who ~= '' and redis.call('ZSCORE', line, who) or '')
  local before = place and place > now - RESERVED and redis.call('ZRANK', line, who) or redis.call('ZCARD', line)
  local due = place and place <= now and 0 or redis.call('ZCOUNT', line, now - RESERVED + 1, now)
  return before - late, due
end

local function admitted(line, who)
  redis.call('ZREM', line, who)
  return {1, 0}
end

local function refused(line, now, who, wait)
  wait = math.max(math.ceil(wait), 1)
  if who ~= '' then
    redis.call('ZADD', line, now + wait, who)
    local last = redis.call('ZRANGE', line, -1, -1, 'WITHSCORES')
    redis.call('PEXPIRE', line, math.ceil((tonumber(last[2]) - now + LOST) / 1000))
  end
  return {0, wait}
end
