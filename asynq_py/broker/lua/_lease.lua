-- Included by scripts that end a try. A task is ours while its lease carries the token we were given: the
-- fraction of the lease's score, in microseconds. Whoever takes the task later gives it another one; a Go
-- worker writes whole seconds, which is token 0.
local function owns(lease, id, token)
  local score = redis.call('ZSCORE', lease, id)
  return score and math.floor((tonumber(score) % 1) * 1000000 + 0.5) == tonumber(token)
end

-- Is there a hash, or nothing, where the task should be? Asked before anything is written, so that a key that
-- somebody else uses harms this task alone. Where a Cluster is just moving the key away, the call ends here; and also
-- where it has not come yet, which Redis tells only when it is asked together with a key that is there.
local function is_sound(key, lease)
  local size = redis.pcall('HLEN', key)
  if size == 0 then
    redis.call('EXISTS', key, lease)
  end
  if type(size) == 'number' then
    return true
  end
  redis.call('EXISTS', key)
  return false
end

-- Take tasks off active. They end much in the order in which they began, so mostly they are its very tail, which one
-- command cuts off; the others are searched for from there. Those that are not in it are taken out of `ours`.
-- The first write is LTRIM or LREM, which Redis allows even when it is out of memory.
local function leave(active, ours, count)
  local tail = redis.call('LRANGE', active, -count, -1)
  local cut, last = {}, #tail
  while last > 0 and ours[tail[last]] do
    cut[tail[last]] = true
    last = last - 1
  end
  if last < #tail then
    redis.call('LTRIM', active, 0, last - #tail - 1)
  end
  for id in pairs(ours) do
    if not cut[id] and redis.call('LREM', active, -1, id) == 0 then
      ours[id] = nil
    end
  end
end

-- Of the tasks in ARGV, whose IDs are at `first` and every `step` further, each followed by its token: take those off
-- active and lease that are ours and, given a prefix of keys, sound. Returns the place in ARGV of each, by its ID.
-- Everything is read before anything is written.
local function release(active, lease, first, step, prefix)
  local ours, released, count = {}, {}, 0
  for i = first, #ARGV, step do
    local id = ARGV[i]
    if (not prefix or is_sound(prefix .. id, lease)) and owns(lease, id, ARGV[i + 1]) then
      ours[id], count = i, count + 1
    end
  end
  if count > 0 then
    leave(active, ours, count)
  end
  for id in pairs(ours) do
    released[#released + 1] = id
  end
  if #released > 0 then
    redis.call('ZREM', lease, unpack(released))
  end
  return ours
end
