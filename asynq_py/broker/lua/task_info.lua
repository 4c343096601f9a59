-- task_info: look at one task.
--
-- KEYS  1 task
-- ARGV  1 task ID  2 queue key prefix
-- Returns nil when there is no such task, else: message, state, score in the set of its state (or nil), result (or nil),
-- progress (or nil). That of an earlier try is not told of a running one.
-- Peer  asynq (Go) internal/rdb/inspect.go getTaskInfoCmd; wire format 7.4.
-- include _lease
local key = KEYS[1]
local id, prefix = ARGV[1], ARGV[2]
local task = redis.call('HMGET', key, 'msg', 'state', 'result', 'progress')
local message, state, result = task[1], task[2], task[3]
if not message then
  return nil
end
local score = false
if state == 'scheduled' or state == 'retry' then
  score = redis.call('ZSCORE', prefix .. state, id)
end
local token, progress = string.match(task[4] or '', '^(%d+):(.*)$')
if state == 'active' and token and not owns(prefix .. 'lease', id, token) then
  progress = nil
end
return {message, state, score, result, progress or false}
