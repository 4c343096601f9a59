-- mend_states: settle where a task is whose ID stands in one place while its hash names another.
--
-- KEYS  1 where the IDs are, a list or a sorted set  2 lease
-- ARGV  1 queue key prefix  2 "list" or "set"  3 the state that a task there has  4 group, or ""
--       5 now, unix nanoseconds  6 longest list searched; then the IDs
-- Returns how many were settled. If a task is where its hash says, the ID here is a spare copy and goes; a running task
-- runs, whatever its hash says; else the hash gets the state of this place. What is in order by now is not touched.
-- Peer  none in asynq (Go); wire format 4.2.
-- include _placed
local source, lease = unpack(KEYS)
local prefix, kind, state, group, now, longest = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])

local function is_here(id)
  if kind == 'list' then
    return stands_in(source, id, longest)
  end
  return redis.call('ZSCORE', source, id)
end

local settled = 0
for i = 7, #ARGV do
  local id = ARGV[i]
  local key = prefix .. 't:' .. id
  local task = redis.pcall('HMGET', key, 'msg', 'state', 'group')
  if task.err then
    redis.call('EXISTS', key) -- if a Cluster is just moving it away, the call ends here, before it is changed
  end
  if task[1] and task[2] ~= state and is_here(id) then
    local placed = false
    if state == 'active' then
      if not redis.call('ZSCORE', lease, id) then
        placed = nil -- a stray, which is another matter
      end
    elseif task[2] then
      placed = is_placed(prefix, id, task[2], task[3], longest)
    end
    if placed == true then
      if kind == 'list' then
        redis.call('LREM', source, 0, id)
      else
        redis.call('ZREM', source, id)
      end
    elseif placed == false then
      redis.call('HSET', key, 'state', state)
      if state == 'pending' then
        redis.call('HSET', key, 'pending_since', now)
      elseif state == 'aggregating' then
        redis.call('HSET', key, 'group', group)
      end
    end
    if placed ~= nil then
      settled = settled + 1
    end
  end
end
return settled
