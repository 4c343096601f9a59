-- flow_begin: let a flow begin whose steps are written down.
--
-- KEYS  1 flow  2 ready  3 out
-- ARGV  1 seconds it lives without a change  then fields and their values, "status" among them
-- Returns 1; 0 when it has begun already, or -1 when not all its steps are written down, as a failover has lost some
-- (nothing is changed then). How many there must be is told by the fields "steps" and "follow_ups".
-- Peer  none: asynq (Go) has no flows; wire format 2.2 has no such keys.
-- include _flow
local flow, ready, out = unpack(KEYS)
check_sets(ready, out)
local life = ARGV[1]
if redis.call('HEXISTS', flow, 'status') == 1 then
  return 0
end
local missing = 0
for i = 2, #ARGV, 2 do
  if ARGV[i] == 'steps' or ARGV[i] == 'follow_ups' then
    missing = missing + (tonumber(ARGV[i + 1]) or 0)
  end
end
for _, name in ipairs(redis.call('HKEYS', flow)) do
  if string.sub(name, 1, 2) == 'd:' then
    missing = missing - 1
  end
end
if missing > 0 then
  return -1
end
for i = 2, #ARGV, 2 do
  redis.call('HSET', flow, ARGV[i], ARGV[i + 1])
end
keep(flow, ready, out, life)
return 1
