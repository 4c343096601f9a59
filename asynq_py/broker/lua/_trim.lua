-- Included by scripts that archive, after _unlock: forget what is too old or too much, with hashes and locks, a step
-- at a time, so a long archive never breaks the call (Q-10, Q-11).
local function trim(archived, prefix, cutoff, capacity, step)
  local function forget(ids)
    for _, id in ipairs(ids) do
      local lock = redis.pcall('HGET', prefix .. id, 'unique_key')
      if type(lock) == 'table' then
        redis.call('EXISTS', prefix .. id) -- if a Cluster is just moving it away, the call ends here
      end
      redis.call('ZREM', archived, id)
      if type(lock) ~= 'table' then -- else the key is no hash, and not ours to delete
        unlock(lock, id)
        redis.call('DEL', prefix .. id)
      end
    end
  end
  forget(redis.call('ZRANGEBYSCORE', archived, '-inf', cutoff, 'LIMIT', 0, step))
  local surplus = math.min(redis.call('ZCARD', archived) - capacity, step)
  if surplus > 0 then
    forget(redis.call('ZRANGE', archived, 0, surplus - 1))
  end
end
