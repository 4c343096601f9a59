-- read_set: read some of the tasks that were taken for one aggregation.
--
-- KEYS  1 set
-- ARGV  1 task key prefix  2 first place  3 last place
-- Returns ID and message of each task at these places, oldest first; the message is "" where there is none, or
-- where the task is not waiting for an aggregation. Nothing is changed.
-- Peer  asynq (Go) internal/rdb/rdb.go readAggregationSetCmd; wire format 5.14.
local set = KEYS[1]
local prefix, first, last = unpack(ARGV)
local found = {}
for _, id in ipairs(redis.call('ZRANGE', set, first, last)) do
  local task = redis.pcall('HMGET', prefix .. id, 'msg', 'state')
  if task.err then
    redis.call('EXISTS', prefix .. id) -- if a Cluster is just moving it away, the call ends here
  elseif not task[2] then
    redis.call('EXISTS', prefix .. id, set) -- and here, where it has not come yet
  end
  found[#found + 1] = id
  found[#found + 1] = task[2] == 'aggregating' and task[1] or ''
end
return found
