-- mend_leases: look for leases of tasks that are not in the list of those that run, and take them away.
--
-- KEYS  1 lease  2 active  3 pending
-- ARGV  1 task key prefix  2 now, unix seconds  3 now, unix nanoseconds  4 leases looked at, those that end first
--       5 longest list searched; then IDs: only the leases of these are looked at, and mended
-- Returns the IDs of the tasks, or "LONG": more run than that. A lease that lasts counts only when its task waits
-- elsewhere, as a worker may be about to lose it by itself. A task that was active is handed back, and runs next.
-- Peer  asynq (Go) internal/rdb/rdb.go listLeaseExpiredCmd, which lists them for ever; wire format 5.13.
local lease, active, pending = unpack(KEYS)
local prefix, now, now_ns, most, longest = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5])
local is_mending = #ARGV > 5
if redis.call('LLEN', active) > longest then
  return 'LONG'
end
redis.call('LLEN', pending)
local runs, found = {}, {}
for _, id in ipairs(redis.call('LRANGE', active, 0, longest)) do
  runs[id] = true
end
local leases = {}
if not is_mending then
  leases = redis.call('ZRANGE', lease, 0, most - 1)
end
for i = 6, #ARGV do
  leases[#leases + 1] = ARGV[i]
end
for _, id in ipairs(leases) do
  local score = redis.call('ZSCORE', lease, id)
  if score and not runs[id] then
    local key = prefix .. id
    local task = redis.pcall('HMGET', key, 'msg', 'state')
    if task.err then
      redis.call('EXISTS', key) -- if a Cluster is just moving it away, the call ends here, before it is changed
    end
    if not task.err and not task[1] then
      redis.call('EXISTS', key, lease) -- or where it has not come yet
    end
    if tonumber(score) <= now or (task[1] and task[2] ~= 'active') then
      found[#found + 1] = id
      if is_mending then
        redis.call('ZREM', lease, id)
        if task[1] and task[2] == 'active' then
          redis.call('RPUSH', pending, id)
          redis.call('HSET', key, 'state', 'pending', 'pending_since', now_ns)
        end
      end
    end
  end
end
return found
