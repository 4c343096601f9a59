-- mend_lost: find tasks that are in no list or set at all, and put them where they can be seen.
--
-- KEYS  1 pending  2 groups
-- ARGV  1 queue key prefix  2 now, unix seconds  3 now, unix nanoseconds  4 longest list searched
--       5 "1": mend; "0": only look; then the IDs
-- Returns the IDs of those that are lost. What was archived or completed is so again, what waited in a group does again, and
-- everything else runs next, since when it was due is not known. A hash without a message is deleted.
-- Peer  none in asynq (Go), where such an ID is taken for ever (Q-14); wire format 4.2.
-- include _placed
local pending, groups = unpack(KEYS)
local prefix, now, now_ns, longest, mend = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
local found = {}

-- Is it nowhere? Asked of the place that its hash names first, as nearly all are there.
local function is_lost(id, state, group)
  for _, place in ipairs({state or 'pending', 'pending', 'active', 'scheduled', 'retry', 'archived', 'completed'}) do
    if is_placed(prefix, id, place, group, longest) ~= false then
      return false
    end
  end
  return is_placed(prefix, id, 'aggregating', group, longest) == false
end

local function put_back(key, id, state, group)
  if state == 'archived' or state == 'completed' then
    redis.call('ZADD', prefix .. state, now, id)
  elseif state == 'aggregating' and group then
    redis.call('ZADD', prefix .. 'g:' .. group, now, id)
    redis.call('SADD', groups, group)
  else
    redis.call('RPUSH', pending, id)
    redis.call('HSET', key, 'state', 'pending', 'pending_since', now_ns)
  end
end

for i = 6, #ARGV do
  local id = ARGV[i]
  local key = prefix .. 't:' .. id
  local task = redis.pcall('HMGET', key, 'msg', 'state', 'group')
  if redis.call('EXISTS', key) == 1 and not task.err and is_lost(id, task[2], task[3]) then
    found[#found + 1] = id
    if mend and task[1] then
      put_back(key, id, task[2], task[3])
    elseif mend then
      redis.call('DEL', key)
    end
  end
end
return found
