-- Included by scripts that archive, after _unlock: forget what is too old or too much, with hashes and locks, a step
-- at a time, so a long archive never breaks the call (Q-10, Q-11). The oldest come first: both are its beginning.
local function trim(archived, prefix, cutoff, capacity, step)
  local too_old = redis.call('ZRANGEBYSCORE', archived, '-inf', cutoff, 'LIMIT', 0, step)
  local count = math.min(math.max(#too_old, redis.call('ZCARD', archived) - capacity), step)
  if count <= 0 then
    return
  end
  local keys = {}
  for _, id in ipairs(redis.call('ZRANGE', archived, 0, count - 1)) do
    local lock = redis.pcall('HGET', prefix .. id, 'unique_key')
    if not lock then
      redis.call('EXISTS', prefix .. id, archived) -- a Cluster where it has not come yet ends the call here
    end
    if type(lock) == 'table' then -- the key is no hash, and not ours to delete
      redis.call('EXISTS', prefix .. id) -- if a Cluster is just moving it away, the call ends here
    else
      unlock(lock, id)
      keys[#keys + 1] = prefix .. id
    end
  end
  redis.call('ZREMRANGEBYRANK', archived, 0, count - 1)
  if #keys > 0 then
    redis.call('DEL', unpack(keys))
  end
end
