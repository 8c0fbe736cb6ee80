-- What a pool depends on while it has nothing to do; read-only.
--
-- Sent right behind CLIENT CACHING YES, so that the server remembers every key read here and pushes
-- one message when any client changes one of them. Hence the keys of a queue with jobs are read
-- whatever the others say; of one without, it is enough to hear when a job comes.
--
-- KEYS[1]  scheduled   zset
-- KEYS[2]  retry       zset
-- then four a queue: jobs, lock, paused, max_concurrency
--
-- Returns {earliest score of both sets or "", ready}: ready is one character a queue: "1" jobs wait
-- and may be claimed, "0" nothing to claim, "t" a key of the queue has a wrong type.

local earliest
for i = 1, 2 do
  local head = redis.pcall('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
  local score = not head.err and tonumber(head[2])
  if score and (not earliest or score < earliest) then earliest = score end
end

-- One command for all queues, where all of them are empty.
local some = false
for k = 3, #KEYS, 4000 do
  local lists = {}
  for at = k, math.min(k + 3999, #KEYS), 4 do lists[#lists + 1] = KEYS[at] end
  some = redis.call('EXISTS', unpack(lists)) > 0 or some
end
local head = earliest and string.format('%.17g', earliest) or ''
if not some then return {head, string.rep('0', (#KEYS - 2) / 4)} end

local ready = {}
for k = 3, #KEYS, 4 do
  local waiting = redis.pcall('LLEN', KEYS[k])
  local paused = redis.pcall('GET', KEYS[k + 2])
  local limit = redis.pcall('GET', KEYS[k + 3])
  -- The lock changes with every job of every pool, so it is watched only where it decides.
  local held = type(limit) == 'string' and tonumber(limit) ~= 0 and redis.pcall('GET', KEYS[k + 1])
  local state = '0'
  if type(waiting) == 'table' or type(held) == 'table' or type(paused) == 'table'
    or type(limit) == 'table' then
    state = 't'
  elseif waiting > 0 and not (paused and paused ~= '0') then
    limit = tonumber(limit) or 0
    if limit <= 0 or (tonumber(held) or 0) < limit then state = '1' end
  end
  ready[#ready + 1] = state
end
return {head, table.concat(ready)}
