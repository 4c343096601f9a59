-- Included by scripts that end a try. A task is ours while its lease carries the token we were given: the
-- fraction of the lease's score, in microseconds. Whoever takes the task later gives it another one; a Go
-- worker writes whole seconds, which is token 0.
local function owns(lease, id, token)
  local score = redis.call('ZSCORE', lease, id)
  return score and math.floor((tonumber(score) % 1) * 1000000 + 0.5) == tonumber(token)
end

-- Take the task off active and lease, or change nothing. It is near the tail of active, so search from there.
-- The first write is LREM, which Redis allows even when it is out of memory.
local function release(active, lease, id, token)
  if not owns(lease, id, token) or redis.call('LREM', active, -1, id) == 0 then
    return false
  end
  redis.call('ZREM', lease, id)
  return true
end

-- Is there a hash, or nothing, where the task should be? Asked before anything is written, so that a key that
-- somebody else uses harms this task alone. Where a Cluster is just moving the key away, the call ends here.
local function is_sound(key)
  if type(redis.pcall('HLEN', key)) == 'number' then
    return true
  end
  redis.call('EXISTS', key)
  return false
end
