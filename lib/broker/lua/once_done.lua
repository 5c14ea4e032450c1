-- key token answer ttl
if redis.call('HGET', KEYS[1], 't') ~= ARGV[5] then return {'LOST'} end
redis.call('HSET', KEYS[1], 'a', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return {OK}
