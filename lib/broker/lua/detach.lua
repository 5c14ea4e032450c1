-- inc epoch
local meta, nodes, since, unsynced, hold, counts = unpack(KEYS)
local no = guard(meta, nodes)
if no then return {no} end
local now, inc = clock(), ARGV[4]
if redis.call('EXISTS', hold) == 0 and redis.call('EXISTS', counts) == 0 then
  redis.call('ZREM', nodes, inc)
  redis.call('HDEL', since, inc)
else
  redis.call('ZADD', nodes, now - 1, inc)
end
redis.call('SREM', unsynced, inc)
settle(meta, unsynced, now)
return {OK}
