-- due_groups: look which groups are to be aggregated now.
--
-- KEYS  1 groups
-- ARGV  1 group key prefix  2 tasks that are enough, or 0  3 first task added by (unix seconds), or ""
--       4 last task added by; then the name of each group to look at
-- Returns the names of those that are due. Nothing is changed. A key of another type is never due.
-- Peer  asynq (Go) internal/rdb/rdb.go aggregationCheckCmd, its conditions; wire format 5.14.
-- include _due
local prefix, size, oldest, newest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local found = {}
for i = 5, #ARGV do
  local group = prefix .. ARGV[i]
  if type(redis.pcall('ZCARD', group)) == 'number' and due(group, size, oldest, newest) > 0 then
    found[#found + 1] = ARGV[i]
  end
end
return found
