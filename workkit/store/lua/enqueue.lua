-- Put jobs into their queues, all or none.
--
-- KEYS[1]  known_jobs   set
-- KEYS[2..] jobs:NAME   list
--
-- ARGV  a queue: name, number of jobs, the jobs in the order in which they are to run
--
-- Returns 1. One script does both writes, so every queue with jobs is among the known jobs.

-- One queue needs no check before: if the server refuses its push, no job was written.
for k = 2, #KEYS > 2 and #KEYS or 0 do
  local found = redis.call('TYPE', KEYS[k])['ok']
  if found ~= 'list' and found ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[k] .. ' holds a ' .. found)
  end
end
local cursor = 1
for k = 2, #KEYS do
  local last = cursor + 1 + tonumber(ARGV[cursor + 1])
  redis.call('SADD', KEYS[1], ARGV[cursor])
  for from = cursor + 2, last, 1000 do
    redis.call('LPUSH', KEYS[k], unpack(ARGV, from, math.min(from + 999, last)))
  end
  cursor = last + 1
end
return 1
