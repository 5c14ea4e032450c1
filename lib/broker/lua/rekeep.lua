-- channel stamp ttl body
local there = redis.call('HGET', KEYS[1], 's') or '0'
if tonumber(there) >= tonumber(ARGV[5]) then return {OK, 0} end
redis.call('HSET', KEYS[1], 's', ARGV[5], 'd', ARGV[7])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return {OK, 1}
