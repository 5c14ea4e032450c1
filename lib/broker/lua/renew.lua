-- inc epoch run lease office
local meta, nodes, since, unsynced, dying = unpack(KEYS)
local now, inc, lease = clock(), ARGV[4], tonumber(ARGV[7])
local no = guard(meta, nodes)
if not no and redis.call('HGET', meta, 'r') ~= ARGV[6] then no = EPOCH end
if no then return {no} end
local lapsed = tonumber(redis.call('ZSCORE', nodes, inc)) < now
redis.call('ZADD', nodes, now + lease, inc)
if lapsed then redis.call('HSET', since, inc, text(now)) end
settle(meta, unsynced, now)
local teller = redis.call('HGET', meta, 'o')
if ARGV[8] == '0' then
  if teller == inc then
    teller = nil
    redis.call('HDEL', meta, 'o')
    redis.call(pub, X .. 'p', 'V')
  end
elseif not teller or not redis.call('ZSCORE', nodes, teller) then
  teller = inc
  redis.call('HSET', meta, 'o', inc)
end
local out = {OK, unsettled(meta), teller == inc and 1 or 0, redis.call('ZCARD', nodes)}
local gone = redis.call('SMEMBERS', dying)
table.sort(gone)
for _, i in ipairs(gone) do out[#out + 1] = i end
if now - tonumber(redis.call('HGET', since, inc) or text(now)) >= lease then
  local late = redis.call('ZRANGEBYSCORE', nodes, '-inf', '(' .. text(now))
  table.sort(late)
  for _, i in ipairs(late) do out[#out + 1] = i end
end
return out
