-- Included by scripts that end a task: give the unique lock back if this task still holds it.
local function unlock(lock, id)
  if type(lock) == 'string' and lock ~= '' and redis.pcall('GET', lock) == id then
    redis.call('DEL', lock)
  end
end
