-- Delete jobs from a queue or a sorted set and keep their unique keys right.
--
-- KEYS[1]  list or zset
-- KEYS[2]  begun   hash
-- then unique keys
--
-- ARGV[1]  "list" or "zset"
-- then a job, four each: raw, index of its unique key (1-based; 0: none), what to do with it, and
-- with what:
--   "free"    DEL it, unless the job (its id) has begun once, when it may belong to a newer one
--   "own"     DEL it if its value is this job's payload (how the payload begins)
--
-- Returns a string with one "1" or "0" a job: whether it was there.

local bits = {}
for at = 2, #ARGV, 4 do
  local raw, key, id = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 3]
  local removed
  if ARGV[1] == 'list' then
    removed = redis.call('LREM', KEYS[1], 1, raw)
  else
    removed = redis.call('ZREM', KEYS[1], raw)
  end
  bits[#bits + 1] = removed == 1 and '1' or '0'
  if removed == 1 and key > 0 then
    local unique = KEYS[2 + key]
    if ARGV[at + 2] == 'free' then
      if redis.call('HDEL', KEYS[2], id) == 0 then redis.call('DEL', unique) end
    else
      local value = redis.pcall('GET', unique)
      if type(value) == 'string' and string.sub(value, 1, #id) == id then
        redis.call('DEL', unique)
      end
    end
  end
end
return table.concat(bits)
