-- Included by scripts that mend what a state says. Is a task where that state belongs? Returns true, false, or nil:
-- it would take too long to find out, so nobody may act on it. A lease counts as active. Only asked of a task whose hash
-- is there: together with it Redis tells that a Cluster has not brought another key yet, and the call ends here.
local SETS = {scheduled = 1, retry = 1, archived = 1, completed = 1}

local function stands_in(list, id, longest)
  if redis.call('LLEN', list) > longest then
    return nil
  end
  return redis.call('LPOS', list, id) and true or false
end

local function is_placed(prefix, id, state, group, longest)
  local function is_not_in(...)
    redis.call('EXISTS', prefix .. 't:' .. id, ...)
    return false
  end
  if SETS[state] then
    return redis.call('ZSCORE', prefix .. state, id) and true or is_not_in(prefix .. state)
  elseif state == 'pending' then
    local found = stands_in(prefix .. 'pending', id, longest)
    return found == false and is_not_in(prefix .. 'pending') or found
  elseif state == 'active' then
    if redis.call('ZSCORE', prefix .. 'lease', id) then
      return true
    end
    local found = stands_in(prefix .. 'active', id, longest)
    return found == false and is_not_in(prefix .. 'active', prefix .. 'lease') or found
  elseif state == 'aggregating' then
    if group and redis.call('ZSCORE', prefix .. 'g:' .. group, id) then
      return true
    end
    local sets = redis.call('ZRANGE', prefix .. 'aggregation_sets', 0, 199)
    for _, set in ipairs(sets) do
      if type(redis.pcall('ZSCORE', set, id)) == 'string' then
        return true
      end
    end
    if #sets == 200 then
      return nil
    end
    if group then
      sets[#sets + 1] = prefix .. 'g:' .. group
    end
    return is_not_in(prefix .. 'aggregation_sets', unpack(sets))
  end
  return false
end
