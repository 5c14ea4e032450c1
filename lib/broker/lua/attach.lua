-- inc run lease settle fresh have
local meta, nodes, since, unsynced, dying = unpack(KEYS)
local now, inc, run, lease, have = clock(), ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[9]
local e = redis.call('HGET', meta, 'e')
if not e or redis.call('HGET', meta, 'r') ~= run then
  e = ARGV[8]
  redis.call('HSET', meta, 'e', e, 'r', run, 'u', text(now + tonumber(ARGV[7])))
  redis.call('DEL', unsynced)
  for _, i in ipairs(redis.call('ZRANGE', nodes, 0, -1)) do
    redis.call('HSET', since, i, text(now))
    redis.call('SADD', unsynced, i)
  end
end
local lease_end = redis.call('ZSCORE', nodes, inc)
if redis.call('SISMEMBER', dying, inc) == 1 or (not lease_end and have == e) then return {FENCED} end
redis.call('ZADD', nodes, now + lease, inc)
if not lease_end or tonumber(lease_end) < now then redis.call('HSET', since, inc, text(now)) end
if have == '' or have == e then redis.call('SREM', unsynced, inc) else redis.call('SADD', unsynced, inc) end
return {OK, e, redis.call('HGET', meta, 's') or '0', unsettled(meta)}
