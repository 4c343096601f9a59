-- Included by scripts that mend what a state says. Is a task where that state belongs? Returns true, false, or nil:
-- it would take too long to find out, so nobody may act on it. A lease counts as active.
local SETS = {scheduled = 1, retry = 1, archived = 1, completed = 1}

local function stands_in(list, id, longest)
  if redis.call('LLEN', list) > longest then
    return nil
  end
  return redis.call('LPOS', list, id) and true or false
end

local function is_placed(prefix, id, state, group, longest)
  if SETS[state] then
    return redis.call('ZSCORE', prefix .. state, id) and true or false
  elseif state == 'pending' then
    return stands_in(prefix .. 'pending', id, longest)
  elseif state == 'active' then
    if redis.call('ZSCORE', prefix .. 'lease', id) then
      return true
    end
    return stands_in(prefix .. 'active', id, longest)
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
  end
  return false
end
