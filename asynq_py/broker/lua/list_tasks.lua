-- list_tasks: look at a part of what waits, runs or is kept in one state.
--
-- KEYS  1 list, or sorted set, of that state  2 lease
-- ARGV  1 task key prefix  2 "list" or "set"  3 first place, 0 is told first  4 last place
--       then IDs that the caller knows already
-- Returns for each place: ID, score (in a list: of the lease, or nil), message, result (or nil). The message
-- is nil when the task is gone, and "" when the caller knows it. Nothing is changed.
-- Peer  asynq (Go) internal/rdb/inspect.go listMessagesCmd, listZSetEntriesCmd; wire format 7.5.
local source, lease = KEYS[1], KEYS[2]
local prefix, is_list, first, last = ARGV[1], ARGV[2] == 'list', tonumber(ARGV[3]), tonumber(ARGV[4])
local known = {}
for i = 5, #ARGV do
  known[ARGV[i]] = true
end
local rows = {}

local function tell(id, score)
  local task = {'', false}
  if not known[id] then
    task = redis.pcall('HMGET', prefix .. id, 'msg', 'result')
    if task.err then
      redis.call('EXISTS', prefix .. id) -- if a Cluster is just moving it away, the call ends here
    end
  end
  local n = #rows
  rows[n + 1], rows[n + 2], rows[n + 3], rows[n + 4] = id, score, task[1] or false, task[2] or false
end

if is_list then -- what is next, or runs longest, stands on the right
  local ids = redis.call('LRANGE', source, -last - 1, -first - 1)
  for i = #ids, 1, -1 do
    tell(ids[i], redis.call('ZSCORE', lease, ids[i]))
  end
else
  local found = redis.call('ZRANGE', source, first, last, 'WITHSCORES')
  for i = 1, #found, 2 do
    tell(found[i], found[i + 1])
  end
end
return rows
