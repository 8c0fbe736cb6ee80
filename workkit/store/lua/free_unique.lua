-- Delete a unique key that no job holds, unless its value has changed.
--
-- KEYS[1]  the unique key   string
-- ARGV[1]  its value, as the caller read it
--
-- Returns 1 if it was deleted, else 0.

if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
