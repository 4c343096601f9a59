-- add_to_group: store tasks of one queue in their groups, where they wait for aggregation.
--
-- KEYS  1 groups
-- ARGV  1 task key prefix  2 group key prefix  3 now, unix seconds  4 "1" if this repeats a request without
--       an answer; then for each task: ID, message, unique lock key or "", lock time in ms, group name
-- Returns one number per task: 1 stored, 0 the ID is in use, -1 the lock is held.
-- Peer  asynq (Go) internal/rdb/rdb.go addToGroupCmd, addToGroupUniqueCmd; wire format 5.5.
-- include _admit
local groups = KEYS[1]
local prefix, group_prefix, now, repeated = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local answers = {}
await_locks(7, 5)
for i = 9, #ARGV, 5 do
  if i == 9 or ARGV[i] ~= ARGV[i - 5] then -- a Cluster where the group has not come yet ends the call here
    redis.call('EXISTS', group_prefix .. ARGV[i], groups)
  end
end
for i = 5, #ARGV, 5 do
  local id, message, lock, lock_ms, group = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local key = prefix .. id
  local answer = admit(key, id, message, lock, lock_ms, repeated)
  if answer == 1 then
    redis.call('SADD', groups, group) -- these two first, as keys of another type refuse them
    redis.call('ZADD', group_prefix .. group, now, id)
    redis.call('HSET', key, 'msg', message, 'state', 'aggregating', 'group', group)
    if lock ~= '' then
      redis.call('HSET', key, 'unique_key', lock)
    end
  end
  answers[#answers + 1] = math.min(answer, 1)
end
return answers
