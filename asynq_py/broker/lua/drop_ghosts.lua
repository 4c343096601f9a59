-- drop_ghosts: take IDs out of a list or set whose task is gone.
--
-- KEYS  1 where the IDs are, a list or a sorted set  2 lease
-- ARGV  1 task key prefix  2 "list" or "set"  3 the state that a task there has  4 now, unix seconds; then the IDs
-- Returns how many were taken out. One that has a message, has left, or runs under a lease that lasts is not touched. What
-- is left of its hash goes too, so that the ID is free; a key that is no hash is not ours to delete.
-- Peer  none in asynq (Go), where they stay for ever (Q-08, Q-09); wire format 5.6.
local source, lease = unpack(KEYS)
local prefix, kind, state, now = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local dropped = 0
for i = 5, #ARGV do
  local id = ARGV[i]
  local key = prefix .. id
  local has_message = redis.pcall('HEXISTS', key, 'msg')
  if type(has_message) ~= 'number' then
    redis.call('EXISTS', key) -- if a Cluster is just moving it away, the call ends here, before it is changed
  end
  if has_message == 0 then
    redis.call('EXISTS', key, source) -- or where it has not come yet
  end
  local score = redis.call('ZSCORE', lease, id)
  if has_message ~= 1 and not (score and tonumber(score) > now) then
    local taken
    if kind == 'list' then
      taken = redis.call('LREM', source, 0, id)
    else
      taken = redis.call('ZREM', source, id)
    end
    if taken > 0 then
      if state == 'active' then
        redis.call('ZREM', lease, id)
      end
      if has_message == 0 then
        redis.call('DEL', key)
      end
      dropped = dropped + 1
    end
  end
end
return dropped
