-- Makes a dead job wait again. ARGV: id.
local k = job_key(ARGV[1])
local f = redis.call('HMGET', k, 'dead', 'lane')
if not f[1] then return 0 end
redis.call('ZREM', DEAD, ARGV[1])
redis.call('HDEL', k, 'dead', 'finished')
redis.call('HSET', k, 'deliveries', 0)
enlist(ARGV[1], f[2])
wake(1)
return 1
