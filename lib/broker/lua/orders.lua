-- since limit
local since = ARGV[4]
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local newest = last[1] and last[1][1] or '0-0'
local found = newest == since or #redis.call('XRANGE', KEYS[1], since, since) > 0
local out, limit = {OK, found and 1 or 0, newest}, tonumber(ARGV[5])
if limit == 0 then return out end
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], found and '(' .. since or '-', '+', 'COUNT', limit)) do
  out[#out + 1] = entry[1]
  out[#out + 1] = entry[2][2]
end
return out
