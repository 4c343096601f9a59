-- flow_begin: let a flow begin whose steps are written down.
--
-- KEYS  1 flow  2 ready  3 out
-- ARGV  1 seconds it lives without a change  then fields and their values, "status" among them
-- Returns 1, or 0 when it has begun already (nothing is changed then).
-- Peer  none: asynq (Go) has no flows; wire format 2.2 has no such keys.
-- include _flow
local flow, ready, out = unpack(KEYS)
check_sets(ready, out)
local life = ARGV[1]
if redis.call('HEXISTS', flow, 'status') == 1 then
  return 0
end
for i = 2, #ARGV, 2 do
  redis.call('HSET', flow, ARGV[i], ARGV[i + 1])
end
keep(flow, ready, out, life)
return 1
