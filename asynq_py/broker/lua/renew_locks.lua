-- renew_locks: let the unique locks of running tasks last as long again as at first, where their rule says so.
--
-- KEYS  1 lease
-- ARGV  1 task key prefix; then for each task: ID, lease token, unique lock key
-- Returns one number per task: 1 renewed, or taken again after it had run out; 0 no longer ours, or it has no such
-- rule, or another task has the lock by now (nothing is changed then).
-- Peer  none: a lock of asynq (Go) ends after its time, whatever its task does (Q-21); wire format 2.5.
-- include _lease
local lease, prefix = KEYS[1], ARGV[1]
local answers = {}
for i = 2, #ARGV, 3 do
  local id, token, lock = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local answer = 0
  if owns(lease, id, token) then
    local ms = tonumber(redis.pcall('HGET', prefix .. id, 'unique_ms'))
    local holder = redis.pcall('GET', lock)
    if ms and (holder == id or not holder) then
      redis.call('SET', lock, id, 'PX', ms)
      answer = 1
    end
  end
  answers[#answers + 1] = answer
end
return answers
