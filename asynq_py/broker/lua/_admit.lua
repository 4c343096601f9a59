-- Included by scripts that store new tasks. Returns 1: the ID is free and the lock (if any) is taken;
-- 0: the ID is in use; -1: another task holds the lock; 2: this very message is stored already, by a request
-- whose answer was lost. The ID is looked at before the lock is taken, so a refusal leaves no lock behind (Q-03).
-- Locks in ARGV, the first and every `step` further: a Cluster where one has not come yet ends the call here, before
-- anything is written.
local function await_locks(first, step)
  for i = first, #ARGV, step do
    if ARGV[i] ~= '' and redis.call('EXISTS', ARGV[i]) == 0 then
      redis.call('EXISTS', ARGV[i], KEYS[1])
    end
  end
end

local function admit(key, id, message, lock, lock_ms, repeated)
  if redis.call('EXISTS', key) == 1 then
    if repeated and redis.pcall('HGET', key, 'msg') == message then
      return 2
    end
    return 0
  end
  if repeated then
    redis.call('EXISTS', key, KEYS[1]) -- a Cluster where it has not come yet ends the call here: it may be there
  end
  if lock ~= '' and not redis.call('SET', lock, id, 'NX', 'PX', lock_ms) then
    return -1
  end
  return 1
end
