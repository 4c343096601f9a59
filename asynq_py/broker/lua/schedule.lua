-- schedule: store tasks of one queue for later.
--
-- KEYS  1 scheduled
-- ARGV  1 task key prefix  2 "1" if this repeats a request without an answer
--       then for each task: ID, message, unique lock key or "", lock time in ms, time to process in unix
--       seconds, group name or ""
-- Returns one number per task: 1 stored, 0 the ID is in use, -1 the lock is held.
-- The group goes into the hash, so that forwarding (by Go, too) puts the task into its group (Q-01).
-- Peer  asynq (Go) internal/rdb/rdb.go scheduleCmd, scheduleUniqueCmd; wire format 5.3.
-- include _admit
local scheduled = KEYS[1]
local prefix, repeated = ARGV[1], ARGV[2] == '1'
local answers = {}
await_locks(5, 6)
for i = 3, #ARGV, 6 do
  local id, message, lock, lock_ms = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local process_at, group = ARGV[i + 4], ARGV[i + 5]
  local key = prefix .. id
  local answer = admit(key, id, message, lock, lock_ms, repeated)
  if answer == 1 then
    redis.call('ZADD', scheduled, process_at, id) -- first, as a key of another type refuses it
    redis.call('HSET', key, 'msg', message, 'state', 'scheduled')
    if lock ~= '' then
      redis.call('HSET', key, 'unique_key', lock)
    end
    if group ~= '' then
      redis.call('HSET', key, 'group', group)
    end
  end
  answers[#answers + 1] = math.min(answer, 1)
end
return answers
