-- reclaim: hand tasks back that are active without a lease; they run next.
--
-- KEYS  1 active  2 lease  3 pending
-- ARGV  1 task key prefix  2 now, unix nanoseconds; then the ID of each task, next to run first
-- Returns the IDs handed back. One that got a lease meanwhile, or left active, is not touched; one that waits
-- elsewhere by its state, or has no message, is only taken off active. A lease that is gone says nothing
-- about the task, as one that kills its worker leaves its lease behind: so `crashes` stays.
-- Peer  none in asynq (Go); wire format 5.13.
local active, lease, pending = unpack(KEYS)
local prefix, now = ARGV[1], ARGV[2]
local reclaimed = {}
redis.call('LLEN', pending) -- refuses a key of another type before anything is written
for i = #ARGV, 3, -1 do
  local id = ARGV[i]
  local key = prefix .. id
  local task = redis.pcall('HMGET', key, 'msg', 'state')
  if task.err then
    redis.call('EXISTS', key) -- if a Cluster is just moving it away, the call ends here, before it is changed
  end
  if not task.err and not task[1] then
    redis.call('EXISTS', key, active) -- or where it has not come yet
  end
  if not redis.call('ZSCORE', lease, id) and redis.call('LREM', active, 0, id) > 0 then
    local message, state = task[1], task[2]
    if not message then
      if not task.err then -- else the key is no hash, and not ours to delete
        redis.call('DEL', key)
      end
    elseif not state or state == 'active' or state == 'pending' then
      redis.call('RPUSH', pending, id)
      redis.call('HSET', key, 'state', 'pending', 'pending_since', now)
      table.insert(reclaimed, 1, id)
    end
  end
end
return reclaimed
