-- update_payload: give a scheduled task another message, if it still has the one that the new one was made from.
--
-- KEYS  1 task
-- ARGV  1 task ID  2 message as it was  3 new message  4 key of its unique lock, or ""  5 key of the lock that the new
--       payload asks for, or ""
-- Returns "OK"; or, and nothing is changed then, "GONE", "STATE" (it is not scheduled), "CHANGED" (its message is
-- another by now) or "LOCKED" (another task holds the new lock). A lock that it holds is moved, with its time.
-- Peer  asynq (Go) internal/rdb/inspect.go updateTaskPayloadCmd; wire format 7.12.
local key = KEYS[1]
local id, before, after, old_lock, new_lock = unpack(ARGV)
local task = redis.call('HMGET', key, 'msg', 'state')
if not task[1] then
  return 'GONE'
elseif task[2] ~= 'scheduled' then
  return 'STATE'
elseif task[1] ~= before then
  return 'CHANGED'
end
if old_lock ~= new_lock then
  local holder = redis.call('GET', new_lock)
  local left = redis.call('GET', old_lock) == id and redis.call('PTTL', old_lock) or 0
  if left > 0 then
    if holder and holder ~= id then
      return 'LOCKED'
    end
    redis.call('DEL', old_lock)
    redis.call('SET', new_lock, id, 'PX', left)
  end
  redis.call('HSET', key, 'unique_key', new_lock)
end
redis.call('HSET', key, 'msg', after)
return 'OK'
