-- A worker has left. ARGV: worker. A consumer with entries stays: they go with it else.
redis.call('ZREM', WORKERS, ARGV[1])
for _, lane in ipairs(redis.call('SMEMBERS', LANES)) do
  local pending = redis.pcall('XPENDING', lane_key(lane), G, '-', '+', 1, ARGV[1])
  if not pending.err and not pending[1] then
    redis.call('XGROUP', 'DELCONSUMER', lane_key(lane), G, ARGV[1])
  end
end
return 1
