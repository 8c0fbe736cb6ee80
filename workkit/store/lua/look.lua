-- What a pool depends on while it has nothing to do; read-only.
--
-- Sent right behind CLIENT CACHING YES, so that the server remembers every key given here (Redis 7.0)
-- or read here (others), and pushes one message when any client changes one of them. So of a queue
-- that may not be claimed from, only what keeps its jobs back is named, and of others only the list:
-- jobs that nobody may claim wake nobody.
--
-- KEYS[1]  scheduled   zset
-- KEYS[2]  retry       zset
-- then the lists of the queues that were not found blocked, jobs:NAME
-- then three for each that was found paused or full: paused, max_concurrency, lock
--
-- ARGV[1]  number of the lists
--
-- Returns {earliest score of both sets or "", queues}: one character a queue, in the order of KEYS:
-- "1" jobs wait, or may be claimed again if there are any; "0" it is empty, or its key has a wrong
-- type; "b" it is still blocked.

local earliest
for i = 1, 2 do
  local head = redis.pcall('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
  local score = not head.err and tonumber(head[2])
  if score and (not earliest or score < earliest) then earliest = score end
end

-- One command for all queues, where all of them are empty.
local last = 2 + tonumber(ARGV[1])
local some = false
for k = 3, last, 1000 do
  some = redis.call('EXISTS', unpack(KEYS, k, math.min(k + 999, last))) > 0 or some
end
local states = {}
for k = 3, last do
  local waiting = some and redis.pcall('LLEN', KEYS[k])
  states[#states + 1] = type(waiting) == 'number' and waiting > 0 and '1' or '0'
end

local function is_blocked(paused, limit, lock)
  local found = redis.pcall('GET', paused)
  if type(found) == 'table' or (found and found ~= '0') then return true end
  local most = redis.pcall('GET', limit)
  if type(most) == 'table' then return true end
  most = tonumber(most or 0) or 0
  if most <= 0 then return false end
  local held = redis.pcall('GET', lock)
  return type(held) == 'table' or (tonumber(held or 0) or 0) >= most
end
for k = last + 1, #KEYS, 3 do
  states[#states + 1] = is_blocked(KEYS[k], KEYS[k + 1], KEYS[k + 2]) and 'b' or '1'
end
return {earliest and string.format('%.17g', earliest) or '', table.concat(states)}
