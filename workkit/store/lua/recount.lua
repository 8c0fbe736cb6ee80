-- Compute one queue's lock again from the in-progress lists.
--
-- KEYS[1]  lock   KEYS[2] lock_info   then the in-progress list of each pool
--
-- ARGV  two a pool: pool id, kind: "ours" (its list is exact), "peer" (a Go pool: its list can hold
-- entries that do not run, so its own count bounds it), "none" (not registered: left to the reaper)
--
-- A count of 0 with a list that is not empty stays: it says that a Go pool has run these entries.
--
-- Returns {lock before, lock after, fields dropped}, or {"changed"} if lock_info holds a pool that
-- ARGV does not name; the caller then reads again.

local info = redis.call('HGETALL', KEYS[2])
local counted = {}
for i = 1, #info, 2 do counted[info[i]] = tonumber(info[i + 1]) or 0 end

local total, dropped, named = 0, 0, {}
for i = 1, #ARGV, 2 do named[ARGV[i]] = true end
for id in pairs(counted) do
  if not named[id] then
    if string.find(id, '^[%w-]+$') then return {'changed'} end
    redis.call('HDEL', KEYS[2], id)  -- no pool has such an id
    dropped = dropped + 1
  end
end
for i = 1, #ARGV, 2 do
  local id, kind = ARGV[i], ARGV[i + 1]
  local listed = redis.call('LLEN', KEYS[2 + (i + 1) / 2])
  local held = listed
  if kind == 'peer' then held = math.min(held, math.max(counted[id] or 0, 0)) end
  if kind == 'none' and counted[id] == 0 then held = 0 end
  if held > 0 then
    if counted[id] ~= held then redis.call('HSET', KEYS[2], id, held) end
    total = total + held
  elseif counted[id] and not (counted[id] == 0 and listed > 0) then
    redis.call('HDEL', KEYS[2], id)
    dropped = dropped + 1
  end
end
local lock = redis.call('GET', KEYS[1]) or '0'
local before = tonumber(lock) or 0
-- Also write it again if it is not a whole number: INCRBY would fail.
if lock ~= string.format('%.0f', total) then redis.call('SET', KEYS[1], string.format('%.0f', total)) end
if before ~= before or math.abs(before) > 1e15 then before = -1 end
return {before, total, dropped}
