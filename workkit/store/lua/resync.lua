-- Read the jobs that a pool holds, and set a new fence, so that earlier exchanges change nothing.
--
-- KEYS[1]  worker_pools:ID   hash
-- then one in-progress list a queue
--
-- ARGV[1]  fence to set
-- ARGV[2]  how many jobs to leave out, over all lists   ARGV[3] how many to read at most
--
-- Returns {"gone"} if the pool is not registered, else {"ok", number of the last exchange that was
-- applied, list...}. An exchange whose reply was lost may still reach the server later. It then
-- finds another fence and changes nothing.

if redis.pcall('HEXISTS', KEYS[1], 'fence') ~= 1 then return {'gone'} end
redis.call('HDEL', KEYS[1], 'unregistered')
redis.call('HSET', KEYS[1], 'fence', ARGV[1])
local reply = {'ok', redis.call('HGET', KEYS[1], 'applied') or '0'}
-- If the pool holds nothing, one command for up to 1,000 queues is enough.
local some = false
for k = 2, #KEYS, 1000 do
  some = redis.call('EXISTS', unpack(KEYS, k, math.min(k + 999, #KEYS))) > 0 or some
end
local skip, left = tonumber(ARGV[2]), tonumber(ARGV[3])
for k = 2, #KEYS do
  local items = {}
  if some and left > 0 then items = redis.pcall('LRANGE', KEYS[k], skip, skip + left - 1) end
  if items.err then items = {} end
  if skip > 0 and #items == 0 then
    local length = redis.pcall('LLEN', KEYS[k])
    if type(length) == 'number' then skip = skip - length end
  else
    skip = 0
  end
  left = left - #items
  reply[#reply + 1] = items
end
return reply
