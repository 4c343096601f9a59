-- Included by scripts that change a flow. Its keys are the flow itself (a hash), the steps and follow-ups that are
-- to be enqueued (score 0 and 1), and the steps that are enqueued (score: when they were looked at last).

-- Refuse keys of another type; called before anything is written. The flow itself is always read first.
local function check_sets(ready, out)
  redis.call('ZCARD', ready)
  redis.call('ZCARD', out)
end

-- A flow that ended, and of which nothing is under way, is kept as long as was asked for; any other for `life`, which
-- begins anew with each change and each look.
local function keep(flow, ready, out, life)
  local ttl = life
  if redis.call('HGET', flow, 'status') ~= 'running' and redis.call('ZCARD', out) == 0
    and #redis.call('ZRANGEBYSCORE', ready, 1, 1, 'LIMIT', 0, 1) == 0 then
    ttl = redis.call('HGET', flow, 'keep') or life
  end
  redis.call('EXPIRE', flow, ttl)
  redis.call('EXPIRE', ready, ttl)
  redis.call('EXPIRE', out, ttl)
end

-- Let follow-ups be enqueued. `names`: fields that list them.
local function follow(flow, ready, ...)
  for _, name in ipairs({...}) do
    for id in string.gmatch(redis.call('HGET', flow, name) or '', '%S+') do
      if redis.call('HGET', flow, 's:' .. id) == 'idle' then
        redis.call('HSET', flow, 's:' .. id, 'ready')
        redis.call('ZADD', ready, 1, id)
      end
    end
  end
end
