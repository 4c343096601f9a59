-- write_server: say that a server lives, and what it is running.
--
-- KEYS  1 server info  2 workers
-- ARGV  1 seconds until both are forgotten  2 server info; then for each running task: task ID, worker info
-- Returns "OK".
-- Peer  asynq (Go) internal/rdb/rdb.go writeServerStateCmd; wire format 6.
local server, workers = KEYS[1], KEYS[2]
redis.call('SETEX', server, ARGV[1], ARGV[2])
redis.call('DEL', workers)
for i = 3, #ARGV, 2 do
  redis.call('HSET', workers, ARGV[i], ARGV[i + 1])
end
if #ARGV > 2 then
  redis.call('EXPIRE', workers, ARGV[1])
end
return 'OK'
