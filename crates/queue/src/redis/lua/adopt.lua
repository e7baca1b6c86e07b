-- Outcomes that were to be reported and whose worker is gone. ARGV: worker, whether it has
-- just begun, its lease.
-- How much longer a worker may be silent than for its lease: it may have reported, and just
-- not be able to say so, where the server was away.
local GRACE = 5000
local out = {}
for _, id in ipairs(redis.call('ZRANGE', UNREPORTED, 0, 999)) do
  local f = redis.call('HMGET', job_key(id), 'reporter', 'worker')
  local reporter = f[1] or f[2]
  local mine = reporter == ARGV[1]
  local seen = redis.call('ZSCORE', WORKERS, reporter or '')
  local alive = seen and tonumber(seen) + GRACE > now
  if (mine and ARGV[2] == '1') or (not mine and not alive) then
    if f[2] then redis.call('HSET', job_key(id), 'reporter', ARGV[1]) end
    out[#out + 1] = id
  end
end
-- Alive from now on, lest another takes them in turn.
redis.call('ZADD', WORKERS, now + tonumber(ARGV[3]), ARGV[1])
return out
