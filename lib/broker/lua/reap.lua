-- inc epoch lease dead wants n (channel user){n} m (channel){m}
local meta, nodes, since, unsynced, dying, edges, hold, counts = unpack(KEYS, 1, 8)
local now, inc, lease, dead, wants, held = clock(), ARGV[4], tonumber(ARGV[6]), ARGV[7], wanted(ARGV[8]), tonumber(ARGV[9])
local no = guard(meta, nodes)
if no then return {no} end
local lease_end = redis.call('ZSCORE', nodes, dead)
if lease_end then
  if tonumber(lease_end) >= now then return {'ALIVE'} end
  -- An incarnation that has lapsed itself may have slept on what it knew.
  if now - tonumber(redis.call('HGET', since, inc) or text(now)) < lease or
     tonumber(redis.call('ZSCORE', nodes, inc)) < now then return {'DENIED'} end
  redis.call('SADD', dying, dead)
  redis.call('ZREM', nodes, dead)
  redis.call('HDEL', since, dead)
  redis.call('SREM', unsynced, dead)
elseif redis.call('SISMEMBER', dying, dead) == 0 then
  return {OK, 0}
end
for i = 1, held do
  local a = 8 + 2 * i
  drop(meta, hold, KEYS[8 + i], edges, ARGV[a], ARGV[a + 1], wants)
end
for k = 9 + held, #KEYS do
  local channel = ARGV[k + 2 + held]
  if redis.call('HEXISTS', counts, channel) == 1 then
    local total = count(counts, KEYS[k], edges, channel, 0, wants)
    if wants == '2' then redis.call(pub, topic(channel), 'C ' .. text(total)) end
  end
end
local left = redis.call('SCARD', hold) + redis.call('HLEN', counts)
if left == 0 then redis.call('SREM', dying, dead) end
settle(meta, unsynced, now)
return {OK, left}
