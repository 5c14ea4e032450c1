-- inc epoch
local meta, nodes, hold, counts = unpack(KEYS)
local no = guard(meta, nodes)
if no then return {no} end
return {OK, redis.call('SMEMBERS', hold), redis.call('HGETALL', counts)}
