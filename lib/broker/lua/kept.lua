-- channel
local kept = redis.call('HMGET', KEYS[1], 's', 'd')
if not kept[1] then return {OK} end
return {OK, kept[1], kept[2], redis.call('PTTL', KEYS[1])}
