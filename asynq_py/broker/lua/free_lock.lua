-- free_lock: find out whether a unique lock outlived its task, and free it.
--
-- KEYS  1 lock
-- ARGV  1 task key prefix  2 "1": free it; "0": only look
-- Returns 1: the task that holds it is gone, or another one has its ID by now, which does not name this lock; else 0, and
-- nothing is changed. A task names its lock in a field, or in its message alone, as those that Go writes into groups.
-- Peer  none in asynq (Go), where it lasts for its time (Q-03, Q-15); wire format 2.5.
local lock, prefix = KEYS[1], ARGV[1]

-- The lock as a message holds it: protobuf's field 10, its length, seven bits a byte, and the text.
local function encoded(text)
  local length, bytes = #text, {82}
  while length > 127 do
    bytes[#bytes + 1] = length % 128 + 128
    length = math.floor(length / 128)
  end
  bytes[#bytes + 1] = length
  return string.char(unpack(bytes)) .. text
end

local holder = redis.pcall('GET', lock)
if type(holder) ~= 'string' then
  return 0
end
local key = prefix .. holder
local task = redis.pcall('HMGET', key, 'msg', 'unique_key')
if task.err then
  redis.call('EXISTS', key) -- if a Cluster is just moving it away, the call ends here, before anything is changed
  return 0
end
if not task[1] then
  redis.call('EXISTS', key, lock) -- or where it has not come yet
end
if task[2] == lock or task[1] and string.find(task[1], encoded(lock), 1, true) then
  return 0
end
if ARGV[2] == '1' then
  redis.call('DEL', lock)
end
return 1
