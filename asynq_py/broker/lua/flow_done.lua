-- flow_done: a step succeeded: count it, once, and let those be enqueued that waited for it alone.
--
-- KEYS  1 flow  2 ready  3 out
-- ARGV  1 ID of the step  2 "1" if it has a result  3 the result  4 now, unix seconds  5 seconds the flow lives
--       without a change
-- Returns "DONE"; "OLD" when that was known; "OVER" when the flow was cancelled, "GONE" when there is none.
-- Peer  none: asynq (Go) has no flows; wire format 2.2 has no such keys.
-- include _flow
local flow, ready, out = unpack(KEYS)
check_sets(ready, out)
local id, has_result, result, now, life = unpack(ARGV)
local status, standing = redis.call('HGET', flow, 'status'), redis.call('HGET', flow, 's:' .. id)
if not status or not standing then
  return 'GONE'
end
if standing == 'done' then
  return 'OLD'
end
redis.call('ZREM', out, id)
if status == 'cancelled' then
  keep(flow, ready, out, life)
  return 'OVER'
end
redis.call('ZREM', ready, id)
redis.call('HSET', flow, 's:' .. id, 'done', 'changed_at', now)
if has_result == '1' then
  redis.call('HSET', flow, 'r:' .. id, result)
end
for next in string.gmatch(redis.call('HGET', flow, 'x:' .. id) or '', '%S+') do
  if redis.call('HINCRBY', flow, 'w:' .. next, -1) == 0 then
    redis.call('HSET', flow, 's:' .. next, 'ready')
    redis.call('ZADD', ready, 0, next)
  end
end
if redis.call('HINCRBY', flow, 'done', 1) == tonumber(redis.call('HGET', flow, 'total')) then
  redis.call('HSET', flow, 'status', 'succeeded', 'ended_at', now)
  follow(flow, ready, 'on_success')
end
keep(flow, ready, out, life)
return 'DONE'
