-- enqueue_tick: store the task of one time at which an entry is due, unless another scheduler did.
--
-- KEYS  1 last time of the entry  2 pending  3 scheduled  4 groups
-- ARGV  1 task key prefix  2 group key prefix  3 now, unix nanoseconds  4 the time, unix seconds
--       5 seconds that lie between two times at least  6 seconds until the last time is forgotten
--       7 token of this request, the same when it is repeated  8 "pending", "scheduled" or "aggregating"
--       9 ID  10 message  11 unique lock key or ""  12 lock time in ms  13 time to process, unix seconds
--       14 group name or ""  15 until when its like keep it off: "start", "success", "end" or "ttl", or "" for as long
--       as the lock is held
-- Returns two numbers: 1 stored, 0 the ID is in use, -1 the lock is held, 2 the time is taken by another;
-- and the last time of the entry. A refused task takes its time, too: it is not tried again elsewhere.
-- Peer  none: asynq (Go) lets every scheduler enqueue (Q-39); what is stored is that of wire format 5.1-5.5.
-- include _admit
-- include _rule
local last, pending, scheduled, groups = unpack(KEYS)
local now, at, spacing, ttl, token = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], ARGV[7]
local state, id, message, lock, lock_ms = ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local process_at, group, rule = ARGV[13], ARGV[14], ARGV[15]
local key = ARGV[1] .. id
local claim = redis.call('HMGET', last, 'at', 'token', 'answer')
local before = tonumber(claim[1] or '')
if before then
  if claim[2] == token and before == at then
    return {tonumber(claim[3]), before}
  end
  if at < before + math.max(spacing, 1) then
    return {2, before}
  end
end
if group ~= '' then
  redis.call('EXISTS', ARGV[2] .. group) -- a Cluster that is just moving the group away ends the call here
end
if rule ~= '' then
  local holder = redis.call('GET', lock)
  if holder and is_over(rule, ARGV[1] .. holder) then
    redis.call('DEL', lock)
  end
end
local answer = admit(key, id, message, lock, lock_ms, false)
if answer == 1 then
  -- where it is listed comes first, as keys of another type refuse it
  if state == 'pending' then
    redis.call('LPUSH', pending, id)
    redis.call('HSET', key, 'pending_since', now)
  elseif state == 'scheduled' then
    redis.call('ZADD', scheduled, process_at, id)
  else
    redis.call('SADD', groups, group)
    redis.call('ZADD', ARGV[2] .. group, process_at, id)
  end
  redis.call('HSET', key, 'msg', message, 'state', state)
  if lock ~= '' and rule ~= 'ttl' then
    redis.call('HSET', key, 'unique_key', lock)
  end
  if rule == 'success' or rule == 'end' then
    redis.call('HSET', key, 'unique_ms', lock_ms)
  end
  if group ~= '' then
    redis.call('HSET', key, 'group', group)
  end
end
redis.call('HSET', last, 'at', ARGV[4], 'token', token, 'answer', answer)
redis.call('EXPIRE', last, ttl)
return {answer, at}
