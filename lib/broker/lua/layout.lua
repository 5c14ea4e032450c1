-- version partitions. Not a step: what this data is, said by the first node and held against it by all others.
local meta = KEYS[1]
redis.call('HSETNX', meta, 'v', ARGV[4])
redis.call('HSETNX', meta, 'p', ARGV[5])
return redis.call('HMGET', meta, 'v', 'p')
