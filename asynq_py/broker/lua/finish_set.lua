-- finish_set: store the task that a set was aggregated into, and forget the tasks of the set, in one step.
--
-- KEYS  1 set  2 aggregation_sets  3 group  4 groups  5 pending  6 scheduled
-- ARGV  1 task key prefix  2 group key prefix  3 group name  4 tasks in the set  5 now, unix nanoseconds
--       6 state of the new task, or "" if there is none  7 its score, unix seconds  8 its own group, or ""
--       9 ID  10 message  11 unique lock key or ""  12 lock time in ms
--       then for each task of the set that has one: ID, unique lock key
-- Returns 1 stored and forgotten; 0 the ID is in use, -1 the lock is held (nothing is changed then); -2 the set
-- is finished already, or went back to its group, in whole or in part (nothing is changed).
-- A key that is no hash, or a task that waits elsewhere by its state, is only taken out of the set.
-- Peer  asynq (Go) aggregator.go aggregate, rdb.go deleteAggregationSetCmd; wire format 5.14; Q-15, Q-35.
-- include _admit
-- include _unlock
local set, sets, group, groups, pending, scheduled = unpack(KEYS)
local prefix, group_prefix, name, count, now = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local state, score, into, id, message = ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]

-- all is read before anything is written
local ids = redis.call('ZRANGE', set, 0, count)
if #ids ~= count or not redis.call('ZSCORE', sets, set) then
  return -2
end
local is_last = redis.call('ZCARD', group) == 0
redis.call('SCARD', groups)
redis.call('LLEN', pending)
redis.call('ZCARD', scheduled)
if into ~= '' then
  redis.call('ZCARD', group_prefix .. into)
  redis.call('EXISTS', group_prefix .. into, set) -- a Cluster where it has not come yet ends the call here
end
local locks, ours = {}, {}
for i = 13, #ARGV, 2 do
  locks[ARGV[i]] = ARGV[i + 1]
end
for _, member in ipairs(ids) do
  local task = redis.pcall('HMGET', prefix .. member, 'state', 'unique_key')
  if task.err then
    redis.call('EXISTS', prefix .. member) -- if a Cluster is just moving it away, the call ends here
  elseif not task[1] then
    redis.call('EXISTS', prefix .. member, set) -- and here, where it has not come yet
  end
  ours[member] = task[1] == 'aggregating'
  locks[member] = locks[member] or task[2]
end

if state ~= '' then
  local answer = admit(prefix .. id, id, message, ARGV[11], ARGV[12], false)
  if answer < 1 then
    return answer
  end
  redis.call('HSET', prefix .. id, 'msg', message, 'state', state)
  if ARGV[11] ~= '' then
    redis.call('HSET', prefix .. id, 'unique_key', ARGV[11])
  end
  if into ~= '' then
    redis.call('HSET', prefix .. id, 'group', into)
  end
  if state == 'pending' then
    redis.call('HSET', prefix .. id, 'pending_since', now)
    redis.call('LPUSH', pending, id)
  elseif state == 'scheduled' then
    redis.call('ZADD', scheduled, score, id)
  else
    redis.call('ZADD', group_prefix .. into, score, id)
    redis.call('SADD', groups, into)
    is_last = is_last and into ~= name
  end
end
for _, member in ipairs(ids) do
  if ours[member] then
    redis.call('DEL', prefix .. member)
    unlock(locks[member], member)
  end
end
redis.call('DEL', set)
redis.call('ZREM', sets, set)
if is_last then
  redis.call('SREM', groups, name)
end
return 1
