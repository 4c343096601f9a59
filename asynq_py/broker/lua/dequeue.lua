-- dequeue: move the next tasks of one queue from pending to active, each with a lease.
--
-- KEYS  1 pending  2 paused  3 active  4 lease
-- ARGV  1 score of the leases: expiry in unix seconds, and a token as its fraction  2 queue key prefix
--       3 how many at most, may be 0  4 "1" if this repeats a request without an answer
-- Returns "PAUSED", or for each task, next to run first: ID, message, workers lost on it so far (or nil), since
-- when it was pending, unix nanoseconds (or nil).
-- IDs without a message are dropped (Q-08), and so are IDs that another list holds as well. A repeated
-- request first looks for the tasks that its lost answer brought: they carry exactly this score.
-- Peer  asynq (Go) internal/rdb/rdb.go dequeueCmd; wire format 5.6.
local pending, paused, active, lease = unpack(KEYS)
local score, prefix, wanted, repeated = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local taken = {}
local LONG = string.rep('-', 65)

if repeated then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', lease, score, score)) do
    local task = redis.pcall('HMGET', prefix .. 't:' .. id, 'msg', 'crashes')
    if task[1] then
      local n = #taken
      taken[n + 1], taken[n + 2], taken[n + 3], taken[n + 4] = id, task[1], task[2], false
    elseif not task.err then
      redis.call('EXISTS', prefix .. 't:' .. id, lease) -- where a Cluster moves it, and it has not come yet: try again
    end
  end
  if #taken > 0 then
    return taken
  end
end
if redis.call('EXISTS', paused) == 1 then
  return 'PAUSED'
end

local function is_elsewhere(id, state)
  if state == 'active' then
    return redis.call('ZSCORE', lease, id)
  elseif state == 'aggregating' then
    return false
  end
  local score = redis.pcall('ZSCORE', prefix .. state, id)
  if type(score) == 'table' then -- no state that there is; or a Cluster is just moving the key: then the call ends
    redis.call('EXISTS', prefix .. state)
    return false
  end
  return score
end

for _ = 1, 16 do
  if wanted < 1 then
    break
  end
  local ids = redis.call('LRANGE', pending, -wanted, -1)
  if #ids == 0 then
    break
  end
  local good, keys, lost, seen = {}, {}, {}, {}
  for i = #ids, 1, -1 do
    local id = ids[i]
    local key = prefix .. 't:' .. id
    local task = redis.pcall('HMGET', key, 'msg', 'crashes', 'state', 'pending_since')
    local message, crashes, state = task[1], task[2], task[3]
    if task.err then -- the key is no hash, and not ours to delete; or a Cluster is just moving it: then the call ends
      redis.call('EXISTS', key)
    elseif not message then
      redis.call('EXISTS', key, pending) -- or it has not come yet to where a Cluster moves it
      lost[#lost + 1] = key
    elseif not seen[id] and (state == 'pending' or not state or not is_elsewhere(id, state)) then
      seen[id] = true
      good[#good + 1] = id
      keys[#good] = key
      local n = #taken
      taken[n + 1], taken[n + 2], taken[n + 3], taken[n + 4] = id, message, crashes, task[4]
    end
  end
  redis.call('LTRIM', pending, 0, -#ids - 1)
  if #good > 0 then
    local leases = {}
    for i, id in ipairs(good) do
      leases[2 * i - 1], leases[2 * i] = score, id
    end
    -- A key of another type is found by trying, as to ask would be paid for by each task; then all goes back.
    local listed, leased = redis.pcall('LPUSH', active, unpack(good)), 0
    if type(listed) == 'number' then
      -- A small sorted set is a flat list, searched from its start for every member. A long first member, there for a
      -- moment, makes it an index: a fifth off the price of taking and ending 100 tasks.
      if #good > 64 then
        leased = redis.pcall('ZADD', lease, score, LONG, unpack(leases))
        redis.pcall('ZREM', lease, LONG)
      else
        leased = redis.pcall('ZADD', lease, unpack(leases))
      end
      if type(leased) ~= 'number' then
        redis.call('LTRIM', active, #good, -1)
      end
    end
    if type(listed) ~= 'number' or type(leased) ~= 'number' then
      redis.call('RPUSH', pending, unpack(ids))
      return type(listed) ~= 'number' and listed or leased
    end
    for _, key in ipairs(keys) do
      redis.call('HSET', key, 'state', 'active')
      redis.call('HDEL', key, 'pending_since')
    end
  end
  for _, key in ipairs(lost) do
    redis.call('DEL', key)
  end
  wanted = wanted - #good
end
return taken
