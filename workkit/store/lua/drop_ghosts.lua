-- Remove jobs from the list of a stopped Go pool: it has run them, and updates replaced them.
--
-- KEYS[1]  worker_pools:ID   hash   of the pool
-- KEYS[2]  its in-progress list   KEYS[3] lock_info
--
-- ARGV[1]  id of the pool   ARGV[2] its count in lock_info, as the caller read it
-- then the entries
--
-- Returns how many entries it removed, or -1 if the pool has a heartbeat or its count has changed.

if redis.pcall('HEXISTS', KEYS[1], 'heartbeat_at') ~= 0 then return -1 end
if redis.pcall('HGET', KEYS[3], ARGV[1]) ~= ARGV[2] then return -1 end

local removed = 0
for at = 3, #ARGV do removed = removed + redis.call('LREM', KEYS[2], 1, ARGV[at]) end
return removed
