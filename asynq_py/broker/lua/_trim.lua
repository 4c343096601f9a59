-- Included by scripts that archive, after _unlock: forget what is too old or too much, with hashes and locks, a step
-- at a time, so a long archive never breaks the call (Q-10, Q-11). The oldest come first: both are its beginning.
local function trim(archived, prefix, cutoff, capacity, step)
  local too_old = redis.call('ZCOUNT', archived, '-inf', cutoff)
  local too_much = redis.call('ZCARD', archived) - capacity
  local count = math.min(math.max(too_old, too_much), step)
  if count <= 0 then
    return
  end
  local keys = {}
  for i, id in ipairs(redis.call('ZRANGE', archived, 0, count - 1)) do
    keys[i] = prefix .. id
    unlock(redis.call('HGET', keys[i], 'unique_key'), id)
  end
  redis.call('ZREMRANGEBYRANK', archived, 0, count - 1)
  redis.call('DEL', unpack(keys))
end
