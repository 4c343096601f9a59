-- Included by take_hold, take_token, take_turn: the line of those who wait before a limit.
--
-- Who waits → when it shall come again, microseconds. Who is due goes before those who come anew, so nobody
-- starves; who is not there a minute after its time has lost its place, as its task may be gone.
local GRACE = 60000000

-- Returns how many are ahead, and how many of these are due now. Who is due itself lets nobody go first.
local function ahead(line, now, who)
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', line, '-inf', now - GRACE, 'LIMIT', 0, 100)) do
    redis.call('ZREM', line, gone)
  end
  local lost = redis.call('ZCOUNT', line, '-inf', now - GRACE)
  local place = tonumber(who ~= '' and redis.call('ZSCORE', line, who) or '')
  if not place or place <= now - GRACE then
    return redis.call('ZCARD', line) - lost, redis.call('ZCOUNT', line, now - GRACE + 1, now)
  end
  local before = redis.call('ZRANK', line, who) - lost
  return before, place <= now and 0 or redis.call('ZCOUNT', line, now - GRACE + 1, now)
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
    redis.call('PEXPIRE', line, math.ceil((tonumber(last[2]) - now + GRACE) / 1000))
  end
  return {0, wait}
end
