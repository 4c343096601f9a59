-- postpone: put tasks where they wait for another moment, though they were taken; nothing is counted.
--
-- KEYS  1 active  2 lease  3 scheduled
-- ARGV  1 task key prefix; then for each task: ID, lease token, when it may run, unix seconds
-- Returns one number per task: 1 postponed, 0 no longer ours (nothing is changed then).
-- Unlike a retry it keeps `crashes`: the task has not run.
-- Peer  none in asynq (Go), whose forwarder takes it from there; wire format 5.3.
-- include _lease
local active, lease, scheduled = unpack(KEYS)
local prefix = ARGV[1]
redis.call('ZCARD', scheduled)  -- refuses a key of another type before anything is written
local answers = {}
local ours = release(active, lease, 2, 3, prefix)
for i = 2, #ARGV, 3 do
  local id, at = ARGV[i], ARGV[i + 2]
  local answer = 0
  if ours[id] == i and redis.call('HEXISTS', prefix .. id, 'msg') == 1 then
    redis.call('ZADD', scheduled, at, id)
    redis.call('HSET', prefix .. id, 'state', 'scheduled')
    answer = 1
  end
  answers[#answers + 1] = answer
end
return answers
