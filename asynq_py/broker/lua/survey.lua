-- survey: look at some of the tasks of one state for those that are not in order. Nothing is changed.
--
-- KEYS  1 where their IDs are, a list or a sorted set  2 lease
-- ARGV  1 task key prefix  2 "list" or "set"  3 the state that a task there has  4 first place  5 last place
--       6 now, unix seconds
-- Returns how many IDs stand at these places, then of each that is not in order its ID and "ghost" (there is no
-- message), "stray" (active without a lease) or "state" (its hash names another state). In a list places are counted
-- from its tail. A running task whose lease still lasts is no ghost yet: its worker may be about to end it.
-- Peer  none in asynq (Go); wire format 4.2.
local source, lease = unpack(KEYS)
local prefix, kind, state, first, last, now = unpack(ARGV)
local ids
if kind == 'list' then
  ids = redis.call('LRANGE', source, -last - 1, -first - 1)
else
  ids = redis.call('ZRANGE', source, first, last)
end
local found = {#ids}
for i = 1, #ids do
  local id = kind == 'list' and ids[#ids + 1 - i] or ids[i]
  local task = redis.pcall('HMGET', prefix .. id, 'msg', 'state')
  if task.err then
    redis.call('EXISTS', prefix .. id) -- if a Cluster is just moving it away, the call ends here
  end
  if not task.err and not task[1] then
    redis.call('EXISTS', prefix .. id, source) -- or where it has not come yet
  end
  local score = state == 'active' and redis.call('ZSCORE', lease, id)
  local fault
  if not task[1] then
    fault = not (score and tonumber(score) > tonumber(now)) and 'ghost'
  elseif state == 'active' and not score then
    fault = 'stray'
  else
    fault = task[2] ~= state and 'state'
  end
  if fault then
    found[#found + 1] = id
    found[#found + 1] = fault
  end
end
return found
