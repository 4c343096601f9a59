-- strays: look for running tasks that have no lease, so that nobody would ever miss their worker.
--
-- KEYS  1 active  2 lease
-- ARGV  1 first place in active, counted from its tail  2 last place
-- Returns how many tasks stand at these places, then the IDs without a lease, oldest first. Nothing is changed.
-- Peer  none in asynq (Go): there they stay active for ever; wire format 5.13.
local active, lease = unpack(KEYS)
local first, last = tonumber(ARGV[1]), tonumber(ARGV[2])
local ids = redis.call('LRANGE', active, -last - 1, -first - 1)
local found = {#ids}
for i = #ids, 1, -1 do
  if not redis.call('ZSCORE', lease, ids[i]) then
    found[#found + 1] = ids[i]
  end
end
return found
