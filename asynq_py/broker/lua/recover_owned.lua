-- recover_owned: hand back what a worker ran that is known to be dead, before its leases end; it runs next.
--
-- KEYS  1 active  2 lease  3 pending
-- ARGV  1 task key prefix  2 now, unix nanoseconds; then for each task, next to run first: ID, lease token
-- Returns one number per task: 1 handed back, 0 not that worker's any more (nothing is changed then).
-- As in recover, retries stay, and the hash field `crashes` counts the lost worker.
-- Peer  none in asynq (Go), which knows of no death but by leases; wire format 5.13.
-- include _lease
local active, lease, pending = unpack(KEYS)
local prefix, now = ARGV[1], ARGV[2]
redis.call('LLEN', pending)  -- refuses a key of another type before anything is written
local answers = {}
local lost = release(active, lease, 3, 2, prefix)
for i = #ARGV - 1, 3, -2 do
  local id = ARGV[i]
  local answer = 0
  if lost[id] == i and redis.call('HEXISTS', prefix .. id, 'msg') == 1 then
    redis.call('RPUSH', pending, id)
    redis.call('HSET', prefix .. id, 'state', 'pending', 'pending_since', now)
    redis.call('HINCRBY', prefix .. id, 'crashes', 1)
    answer = 1
  end
  answers[(i - 1) / 2] = answer
end
return answers
