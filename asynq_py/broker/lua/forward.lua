-- forward: move scheduled and retry tasks whose time has come to pending, or back into their group.
--
-- KEYS  1 scheduled  2 retry  3 pending  4 groups
-- ARGV  1 task key prefix  2 group key prefix  3 now, unix seconds  4 now, unix nanoseconds
--       5 tasks moved at most, of each set
-- Returns how many were moved or dropped, of the set with more of them; below ARGV 5 nothing is left to move.
-- IDs without a message are dropped (Q-09); a group is always listed in groups (Q-05).
-- Peer  asynq (Go) internal/rdb/rdb.go forwardCmd; wire format 5.12.
local scheduled, retry, pending, groups = unpack(KEYS)
local prefix, group_prefix, now, now_ns, step = unpack(ARGV)

local LATER = 60 -- seconds until a task is looked at again whose group is no sorted set; it holds up no other

local function forward(set)
  local ids = redis.call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, step)
  if #ids > 0 then
    redis.call('LLEN', pending) -- keys of another type are refused before anything is written
    redis.call('SCARD', groups)
  end
  for _, id in ipairs(ids) do
    -- all is read before anything is written: a Cluster that is just moving the keys away ends the call here
    local key = prefix .. id
    local task = redis.pcall('HMGET', key, 'msg', 'group')
    if task.err then
      redis.call('EXISTS', key)
    end
    local message, group = task[1], task[2]
    if not message and not task.err then
      redis.call('EXISTS', key, set) -- or where they have not come yet
    end
    local has_group = group and group ~= ''
    local is_open = true
    if has_group then
      is_open = type(redis.pcall('ZCARD', group_prefix .. group)) == 'number'
      redis.call('EXISTS', group_prefix .. group)
    end
    redis.call('ZREM', set, id)
    if not is_open then
      redis.call('ZADD', set, now + LATER, id)
    elseif not message then
      if not task.err then -- else the key is no hash, and not ours to delete
        redis.call('DEL', key)
      end
    elseif has_group then
      redis.call('ZADD', group_prefix .. group, now, id)
      redis.call('SADD', groups, group)
      redis.call('HSET', key, 'state', 'aggregating')
    else
      redis.call('LPUSH', pending, id)
      redis.call('HSET', key, 'state', 'pending', 'pending_since', now_ns)
    end
  end
  return #ids
end

return math.max(forward(scheduled), forward(retry))
