-- Included by scripts that move one task by hand. Where does it wait? Returns the answer to give when it cannot be
-- moved, else nil, its state, the key that holds its ID, and its group. Everything is read before anything is written.
local WAITS = {pending = 1, scheduled = 1, retry = 1, archived = 1, completed = 1, aggregating = 1}

local function find(prefix, id, goal)
  local task = redis.call('HMGET', prefix .. 't:' .. id, 'msg', 'state', 'group')
  local message, state, group = task[1], task[2], task[3] or ''
  if not message then
    return 'GONE'
  elseif state == 'active' then
    return 'ACTIVE'
  elseif state == goal then
    return 'ALREADY'
  elseif not WAITS[state] then
    return 'ELSEWHERE'
  end
  local source = prefix .. (state == 'aggregating' and 'g:' .. group or state)
  if state == 'pending' then
    redis.call('LLEN', source)
  elseif not redis.call('ZSCORE', source, id) then
    return state == 'aggregating' and 'AGGREGATING' or 'ELSEWHERE'
  end
  return nil, state, source, group
end

-- Take it out of there, or change nothing. A group that is empty now leaves the list of groups.
local function take(id, state, source, group, groups)
  if state == 'pending' then
    return redis.call('LREM', source, 0, id) > 0
  end
  local is_last = redis.call('ZCARD', source) == 1 -- afterwards, on the move in a Cluster, it could not be asked
  redis.call('ZREM', source, id)
  if state == 'aggregating' and is_last then
    redis.call('SREM', groups, group)
  end
  return true
end
