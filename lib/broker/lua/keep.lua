-- channel ttl body. The stamp grows with each event of a channel.
local before = redis.call('HGET', KEYS[1], 's') or '0'
local stamp = text(clock_us())
if tonumber(stamp) <= tonumber(before) then stamp = text(tonumber(before) + 1) end
redis.call('HSET', KEYS[1], 's', stamp, 'd', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call(pub, topic(ARGV[4]), stamp .. ' ' .. before .. ' \n' .. ARGV[6])
return {OK, stamp}
