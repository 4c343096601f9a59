-- done: forget tasks that succeeded and keep no result, or were revoked.
--
-- KEYS  1 active  2 lease  3 processed that day  4 processed in all
-- ARGV  1 task key prefix  2 end of the day counter, unix seconds  3 highest counter value
--       then for each task: ID, lease token, unique lock key or ""
-- Returns one number per task: 1 done, 0 no longer ours (nothing is changed then).
-- Peer  asynq (Go) internal/rdb/rdb.go doneCmd, doneUniqueCmd; wire format 5.7.
-- include _lease
-- include _count
-- include _unlock
local active, lease, today, total = unpack(KEYS)
local prefix, day_ends_at, highest = ARGV[1], ARGV[2], ARGV[3]
check_counters(today, total)
local keys, answers, finished = {}, {}, {}
for i = 4, #ARGV, 3 do
  keys[#keys + 1] = prefix .. ARGV[i]
end
if #keys > 0 and redis.call('EXISTS', unpack(keys)) < #keys then -- a Cluster that is just moving one away ends the call
  redis.call('EXISTS', lease, unpack(keys)) -- and here, where one has not come yet
end
local ours = release(active, lease, 4, 3)
for i = 4, #ARGV, 3 do
  local id = ARGV[i]
  if ours[id] == i then
    finished[#finished + 1] = prefix .. id
    unlock(ARGV[i + 2], id)
  end
  answers[#answers + 1] = ours[id] == i and 1 or 0
end
if #finished > 0 then
  redis.call('DEL', unpack(finished))
end
count_success(today, total, #finished, day_ends_at, highest)
return answers
