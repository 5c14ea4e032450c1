-- key token
if redis.call('HGET', KEYS[1], 't') ~= ARGV[5] then return {'LOST'} end
redis.call('DEL', KEYS[1])
return {OK}
