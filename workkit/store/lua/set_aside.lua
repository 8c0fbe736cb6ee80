-- Rename a key that has a wrong type, and keep its value.
--
-- KEYS[1]  the key   KEYS[2] its new name
-- ARGV[1]  the wrong type, as the caller found it
--
-- Returns 1, or 0 if the key now has another type or the new name is taken.

if redis.call('TYPE', KEYS[1])['ok'] ~= ARGV[1] then return 0 end
return redis.call('RENAMENX', KEYS[1], KEYS[2])
