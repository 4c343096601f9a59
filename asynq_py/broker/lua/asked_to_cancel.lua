-- asked_to_cancel: which of these tries shall be cancelled?
--
-- KEYS  1 lease, of the same queue
-- ARGV  1 task key prefix; then for each task: ID, lease token
-- Returns one number per task: 1 somebody asked for it, 0 nobody did.
-- Peer  none; see ask_to_cancel, and wire format 6.
local answers = {}
for i = 2, #ARGV, 2 do
  answers[#answers + 1] = redis.pcall('HGET', ARGV[1] .. ARGV[i], 'cancel') == ARGV[i + 1] and 1 or 0
end
return answers
