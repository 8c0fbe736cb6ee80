-- Rename a key that has a wrong type, with its value, out of the way.
--
-- KEYS[1]  the key   KEYS[2] its new name
-- ARGV[1]  the wrong type, as it was found
--
-- Returns 1, or 0 if it has another type by now or the new name is taken.

if redis.call('TYPE', KEYS[1])['ok'] ~= ARGV[1] then return 0 end
return redis.call('RENAMENX', KEYS[1], KEYS[2])
