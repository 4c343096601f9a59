-- enqueue_unique: store a task, unless another of the same key keeps it off; or in the place of that one.
--
-- KEYS  1 unique lock  2 pending  3 scheduled  4 groups
-- ARGV  1 queue key prefix  2 now, unix nanoseconds  3 "1" if this repeats a request without an answer
--       4 "pending", "scheduled" or "aggregating"  5 its score, unix seconds  6 group name or ""  7 ID  8 message
--       9 lock time in ms  10 until when it keeps others off: "start", "success", "end" or "ttl"
--       11 "1": take the place of the other if that waits
-- Returns a list of one: 1 stored, 0 the ID is in use; or the ID of the task that keeps it off, after "+", or after "-"
-- if that task is gone and only its lock is left (nothing is changed then).
-- The state of the other decides, so it does not matter who runs it: a worker in Go frees a lock after a success only.
-- Peer  none; what is stored is that of asynq (Go) enqueueUniqueCmd and its like; wire format 5.2, 5.3, 5.5.
-- include _find
-- include _rule
local lock, pending, scheduled, groups = unpack(KEYS)
local prefix, now, repeated, state, score, group = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4], ARGV[5], ARGV[6]
local id, message, lock_ms, rule, replaces = ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11] == '1'
local WAITING = {pending = 1, scheduled = 1, retry = 1, aggregating = 1, archived = rule ~= 'ttl' and 1 or nil}
local key = prefix .. 't:' .. id

-- all is read before anything is written
if redis.call('EXISTS', key) == 1 then
  return {repeated and redis.pcall('HGET', key, 'msg') == message and 1 or 0}
end
redis.call('LLEN', pending)
redis.call('ZCARD', scheduled)
redis.call('SCARD', groups)
if group ~= '' then
  redis.call('ZCARD', prefix .. 'g:' .. group)
end
local holder = redis.call('GET', lock)
if holder then
  local other = prefix .. 't:' .. holder
  local over, at = is_over(rule, other)
  if not over then
    local answer, from, source, in_group = 'NO', nil, nil, nil
    if replaces and at and WAITING[at] then
      answer, from, source, in_group = find(prefix, holder, '')
    end
    if answer or not take(holder, from, source, in_group, groups) then
      return {(at and '+' or '-') .. holder}
    end
    redis.call('DEL', other)
  end
end

redis.call('SET', lock, id, 'PX', lock_ms)
redis.call('HSET', key, 'msg', message, 'state', state)
if rule ~= 'ttl' then
  redis.call('HSET', key, 'unique_key', lock)
end
if rule == 'success' or rule == 'end' then
  redis.call('HSET', key, 'unique_ms', lock_ms)
end
if group ~= '' then
  redis.call('HSET', key, 'group', group)
end
if state == 'pending' then
  redis.call('HSET', key, 'pending_since', now)
  redis.call('LPUSH', pending, id)
elseif state == 'scheduled' then
  redis.call('ZADD', scheduled, score, id)
else
  redis.call('ZADD', prefix .. 'g:' .. group, score, id)
  redis.call('SADD', groups, group)
end
return {1}
