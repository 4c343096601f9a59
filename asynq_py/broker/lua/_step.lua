-- Included by scripts that go through all tasks of a state, a step at a time, from what is first.
local function first_of(source, is_list, step)
  if not is_list then
    return redis.call('ZRANGE', source, 0, step - 1)
  end
  local ids, turned = redis.call('LRANGE', source, -step, -1), {}
  for i = #ids, 1, -1 do
    turned[#turned + 1] = ids[i]
  end
  return turned
end

-- What are they? "task", "lost" (no message), "running" (listed here by mistake) or "foreign" (the key is no hash).
-- All keys are looked at before anything is written: a Cluster that is just moving one away ends the call here.
local function look_at(prefix, ids, lease)
  local kinds = {}
  for i, id in ipairs(ids) do
    local has_message = redis.pcall('HEXISTS', prefix .. id, 'msg')
    if type(has_message) ~= 'number' then
      redis.call('EXISTS', prefix .. id)
      kinds[i] = 'foreign'
    elseif redis.call('ZSCORE', lease, id) then
      kinds[i] = 'running'
    else
      kinds[i] = has_message == 1 and 'task' or 'lost'
    end
  end
  return kinds
end

-- Take them out of there. A group that is empty now leaves the list of groups.
local function drop(source, is_list, count, groups, group)
  if is_list then
    redis.call('LTRIM', source, 0, -count - 1)
    return
  end
  local are_all = redis.call('ZCARD', source) == count -- afterwards, on the move in a Cluster, it could not be asked
  redis.call('ZREMRANGEBYRANK', source, 0, count - 1)
  if group ~= '' and are_all then
    redis.call('SREM', groups, group)
  end
end
