-- extend: push the leases of running tasks into the future. Their tokens stay.
--
-- KEYS  1 lease
-- ARGV  1 new expiry, whole unix seconds; then for each task: ID, lease token
-- Returns one number per task: 1 extended, 0 no longer ours.
-- ZREM goes before ZADD because Redis refuses a script whose first write is ZADD when it is out of memory.
-- Peer  asynq (Go) internal/rdb/rdb.go ExtendLease; wire format 5.13.
-- include _lease
local lease, expiry = KEYS[1], ARGV[1]
local answers = {}
for i = 2, #ARGV, 2 do
  local id, token = ARGV[i], ARGV[i + 1]
  local answer = 0
  if owns(lease, id, token) then
    redis.call('ZREM', lease, id)
    redis.call('ZADD', lease, string.format('%s.%06d', expiry, token), id)
    answer = 1
  end
  answers[#answers + 1] = answer
end
return answers
