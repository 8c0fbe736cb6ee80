-- The record of acts: a stream whose entries are chained by digests, and a hash with the chain's
-- ends. The fields of an entry: v (format), n (number), p (digest of the entry before), l (its own
-- digest), r (what the script found; may be empty), b (the act, as JSON).
--
-- The fields of the hash: n, l, ms (number, digest and time of the newest entry), base and base_l
-- (number and digest of the newest entry that was trimmed), lost (how many entries before that one
-- had already gone when it was trimmed), resumed (the first entry after the hash itself was gone).

-- Tells whether both keys have their types, so that an act can be recorded.
local function acts_usable(stream, head)
  local first, second = redis.call('TYPE', stream)['ok'], redis.call('TYPE', head)['ok']
  return (first == 'none' or first == 'stream') and (second == 'none' or second == 'hash')
end

local function act_fields(entry)
  local found = {}
  for at = 1, #entry[2], 2 do found[entry[2][at]] = entry[2][at + 1] end
  return found
end

-- Drops the oldest entries beyond the number to keep, and notes where the chain begins from now on.
local function trim_acts(stream, head, keep)
  local count = redis.call('XLEN', stream)
  local over = math.min(count - keep, 100)
  if over <= 0 then return end
  local base = tonumber(redis.call('HGET', head, 'base') or '0') or 0
  local lost, last = 0, ''
  for _, entry in ipairs(redis.call('XRANGE', stream, '-', '+', 'COUNT', over)) do
    local fields = act_fields(entry)
    local number = tonumber(fields.n)
    if number and number > base and fields.l then
      lost, base, last = lost + number - base - 1, number, fields.l
    end
  end
  redis.call('XTRIM', stream, 'MAXLEN', count - over)
  if last ~= '' then redis.call('HSET', head, 'base', base, 'base_l', last) end
  if lost > 0 then redis.call('HINCRBY', head, 'lost', lost) end
end

-- Appends an act. A full server allows HDEL, and then the writes that follow. fakeredis has no
-- digests, so nothing is recorded there.
local function append_act(stream, head, at_ms, keep, body, result)
  if not redis.sha1hex then return end
  redis.call('HDEL', head, '')
  local known = redis.call('HMGET', head, 'n', 'l', 'ms')
  local number, link, ms = tonumber(known[1]), known[2], tonumber(known[3]) or 0
  local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  local newest_ms, newest_at = 0, 0
  if newest then
    newest_ms, newest_at = string.match(newest[1], '^(%d+)-(%d+)$')
    newest_ms, newest_at = tonumber(newest_ms), tonumber(newest_at)
  end
  if not number or not link then
    local fields = newest and act_fields(newest) or {}
    number, link = tonumber(fields.n) or 0, fields.l or ''
    if newest then
      redis.call('HSET', head, 'base', number, 'base_l', link, 'resumed', number + 1)
    end
  end
  number, ms = number + 1, math.max(ms, tonumber(at_ms), newest_ms)
  if ms == newest_ms and number <= newest_at then ms = ms + 1 end  -- of an entry of somebody else
  local shown, stamp = string.format('%.0f', number), string.format('%.0f', ms)
  local own = redis.sha1hex(table.concat({link, shown, result, body}, '\n'))
  redis.call('XADD', stream, stamp .. '-' .. shown, 'v', '1', 'n', shown, 'p', link, 'l', own,
    'r', result, 'b', body)
  redis.call('HSET', head, 'n', shown, 'l', own, 'ms', stamp)
  trim_acts(stream, head, tonumber(keep))
end
