-- Ends a waiting job, or marks one that a worker has. ARGV: id, the record of its outcome,
-- max_results, ttl, max_bytes.
redis.call('DEL', P .. ':none')
local k = job_key(ARGV[1])
local f = redis.call('HMGET', k, 'state', 'lane', 'entry', 'bytes')
if not f[1] then return 'unknown' end
if f[1] == 'submitted' then
  record(ARGV[1], f[2], f[3], f[4], 'canceled', ARGV[2], false)
  trim(tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]))
  save()
  return 'now'
end
if f[1] ~= 'working' then return 'late' end
redis.call('HSET', k, 'canceled', ARGV[2])
return 'asked'
