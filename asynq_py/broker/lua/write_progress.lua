-- write_progress: keep how far a running task has come, with the token of its try.
--
-- KEYS  1 task  2 lease
-- ARGV  1 task ID  2 lease token  3 progress
-- Returns 1 written, 0 the task is no longer ours (nothing is changed then, and no hash is made: Q-14).
-- Peer  none: asynq (Go) does not look at the field; fields as in wire format 4.
-- include _lease
local task, lease = KEYS[1], KEYS[2]
local id, token, progress = ARGV[1], ARGV[2], ARGV[3]
if not owns(lease, id, token) or redis.call('HEXISTS', task, 'msg') == 0 then
  return 0
end
redis.call('HSET', task, 'progress', token .. ':' .. progress)
return 1
