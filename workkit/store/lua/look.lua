-- Read everything that can give work to an idle pool; read-only.
--
-- The pool sends this right behind CLIENT CACHING YES. The server then remembers every key given
-- here (Redis 7.0) or read here (others), and pushes one message when any client changes one of
-- them. So for a blocked queue the pool names only the keys that block it, and for other queues
-- only the list: jobs that no pool may claim wake no pool.
--
-- KEYS[1]  scheduled   zset
-- KEYS[2]  retry       zset
-- KEYS[3]  known_jobs  set; it exists and changes hardly ever. When a cluster moves the namespace,
--                      it goes from the old node, which announces that; empty queues cannot.
-- then the lists, jobs:NAME, of the queues that are not blocked
-- then three for each queue that was paused or full: paused, max_concurrency, lock
--
-- ARGV[1]  number of the lists
--
-- Returns {earliest score of both sets or "", queues}: one character a queue, in the order of KEYS:
-- "1" jobs wait, or the queue is not blocked any more; "0" it is empty, or its key has a wrong
-- type; "b" it is still blocked.

local earliest
for i = 1, 2 do
  local head = redis.pcall('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
  local score = not head.err and tonumber(head[2])
  if score and (not earliest or score < earliest) then earliest = score end
end

redis.call('EXISTS', KEYS[3])

-- If all queues are empty, one command for up to 1,000 queues is enough.
local last = 3 + tonumber(ARGV[1])
local some = false
for k = 4, last, 1000 do
  some = redis.call('EXISTS', unpack(KEYS, k, math.min(k + 999, last))) > 0 or some
end
local states = {}
for k = 4, last do
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
