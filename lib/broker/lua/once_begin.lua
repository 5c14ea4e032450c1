-- key content token ttl
local there = redis.call('HMGET', KEYS[1], 'c', 'a')
if there[1] then
  if there[1] ~= ARGV[5] then return {'OTHER'} end
  if there[2] then return {'REPEAT', there[2]} end
  return {'RUNNING'}
end
redis.call('HSET', KEYS[1], 'c', ARGV[5], 't', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return {'FIRST'}
