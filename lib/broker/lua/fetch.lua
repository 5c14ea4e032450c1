-- epoch channel. The members are answered as they are stored: the node takes them apart, which would cost ten times as much
-- here, where all wait.
local meta, roster = unpack(KEYS)
if redis.call('HGET', meta, 'e') ~= ARGV[4] then return {EPOCH} end
return {OK, redis.call('HGET', meta, 's') or '0', unsettled(meta), redis.call('HGETALL', roster)}
