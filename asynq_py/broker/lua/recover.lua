-- recover: hand tasks back whose worker let the lease run out; they run next, the longest lost first.
--
-- KEYS  1 lease  2 active  3 pending
-- ARGV  1 task key prefix  2 leases that ended by then (unix seconds) are taken  3 now, unix nanoseconds
--       4 tasks recovered at most
-- Returns the IDs handed back; leases that belong to no running task are dropped, and not among them. A key
-- that is no hash costs its own task alone.
-- The lease that ended last comes first, in this step and over several: as each task goes to the head, the one
-- whose lease ended first is there in the end.
-- Looking and taking is one step, so a lease that was renewed or taken meanwhile is never touched. A lost
-- worker is not a failure of the task: retries stay, the hash field `crashes` counts instead.
-- Peer  asynq (Go) internal/rdb/rdb.go listLeaseExpiredCmd with retryCmd; wire format 5.13.
local lease, active, pending = unpack(KEYS)
local prefix, cutoff, now, step = unpack(ARGV)
redis.call('LLEN', active) -- keys of another type are refused before anything is written
redis.call('LLEN', pending)
local recovered = {}
for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', lease, cutoff, '-inf', 'LIMIT', 0, step)) do
  local key = prefix .. id
  local task = redis.pcall('HMGET', key, 'msg', 'state')
  if task.err then
    redis.call('EXISTS', key) -- if a Cluster is just moving it away, the call ends here, before it is changed
  end
  local message, state = task[1], task[2]
  if not message and not task.err then
    redis.call('EXISTS', key, lease) -- or where it has not come yet
  end
  redis.call('ZREM', lease, id)
  local was_active = redis.call('LREM', active, 0, id) > 0
  if not message then
    if not task.err then
      redis.call('DEL', key)
    end
  elseif was_active or state == 'active' then
    redis.call('RPUSH', pending, id)
    redis.call('HSET', key, 'state', 'pending', 'pending_since', now)
    redis.call('HINCRBY', key, 'crashes', 1)
    recovered[#recovered + 1] = id
  end
end
return recovered
