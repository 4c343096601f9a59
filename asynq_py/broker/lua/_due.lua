-- Included by scripts that look for groups to aggregate. Returns how many tasks wait in a group that is due,
-- else 0: enough of them (`size`; 0: no matter how many), the first added by `oldest` (unix seconds; "": no
-- matter when), or none added after `newest`.
local function due(group, size, oldest, newest)
  local n = redis.call('ZCARD', group)
  if n == 0 or size > 0 and n >= size then
    return n
  end
  local first = tonumber(redis.call('ZRANGE', group, 0, 0, 'WITHSCORES')[2])
  local last = tonumber(redis.call('ZRANGE', group, -1, -1, 'WITHSCORES')[2])
  if oldest and first <= oldest or last <= newest then
    return n
  end
  return 0
end
