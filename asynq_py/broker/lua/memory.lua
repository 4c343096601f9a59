-- memory: weigh some of the tasks of one state.
--
-- KEYS  1 list, or sorted set, of that state
-- ARGV  1 task key prefix  2 "list" or "set"  3 tasks weighed at most
-- Returns bytes of the list or set itself, tasks in it, tasks weighed, bytes of these. Nothing is changed.
-- Peer  asynq (Go) internal/rdb/inspect.go memoryUsageCmd; wire format 7.2.
local source = KEYS[1]
local prefix, is_list, most = ARGV[1], ARGV[2] == 'list', tonumber(ARGV[3])
local ids = redis.call(is_list and 'LRANGE' or 'ZRANGE', source, 0, most - 1)
local weight = 0
for _, id in ipairs(ids) do
  weight = weight + (redis.call('MEMORY', 'USAGE', prefix .. id) or 0)
end
local count = redis.call(is_list and 'LLEN' or 'ZCARD', source)
return {redis.call('MEMORY', 'USAGE', source) or 0, count, #ids, weight}
