-- dead limit
local limit = tonumber(ARGV[5])
if limit == 0 then return {OK, {}, {}} end
return {OK, redis.call('SRANDMEMBER', KEYS[1], limit), redis.call('HRANDFIELD', KEYS[2], limit)}
