-- enqueue: store tasks of one queue as pending.
--
-- KEYS  1 pending
-- ARGV  1 task key prefix  2 now, unix nanoseconds  3 "1" if this repeats a request without an answer
--       then for each task: ID, message, unique lock key or "", lock time in ms
-- Returns one number per task: 1 stored, 0 the ID is in use, -1 the lock is held.
-- Peer  asynq (Go) internal/rdb/rdb.go enqueueCmd, enqueueUniqueCmd; wire format 5.1, 5.2.
-- include _admit
local pending = KEYS[1]
local prefix, now, repeated = ARGV[1], ARGV[2], ARGV[3] == '1'
local answers = {}
await_locks(6, 4)
for i = 4, #ARGV, 4 do
  local id, message, lock, lock_ms = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local key = prefix .. id
  local answer = admit(key, id, message, lock, lock_ms, repeated)
  if answer == 1 then
    redis.call('LPUSH', pending, id) -- first: a key of another type refuses it, and a client may not ask for the type
    if lock == '' then
      redis.call('HSET', key, 'msg', message, 'state', 'pending', 'pending_since', now)
    else
      redis.call('HSET', key, 'msg', message, 'state', 'pending', 'pending_since', now, 'unique_key', lock)
    end
  end
  answers[#answers + 1] = math.min(answer, 1)
end
return answers
