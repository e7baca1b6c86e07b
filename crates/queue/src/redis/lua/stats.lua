-- Counts of the queue.
local is_newer = newer(meta.format)
if is_newer then return is_newer end
local leased, by_worker = 0, {}
for _, lane in ipairs(redis.call('SMEMBERS', LANES)) do
  local pending = redis.pcall('XPENDING', lane_key(lane), G)
  for _, consumer in ipairs(not pending.err and pending[4] or {}) do
    if consumer[1] ~= PARKED then
      local n = tonumber(consumer[2])
      leased = leased + n
      by_worker[consumer[1]] = (by_worker[consumer[1]] or 0) + n
    end
  end
end
local workers = {}
local known = redis.call('ZRANGE', WORKERS, 0, -1, 'WITHSCORES')
for i = 1, #known, 2 do
  local alive_for = tonumber(known[i + 1]) - now
  if alive_for > 0 or by_worker[known[i]] then
    workers[#workers + 1] = {known[i], by_worker[known[i]] or 0, math.max(0, alive_for)}
  end
end
local counters = {meta.bytes, tonumber(redis.call('HGET', META, 'pushed') or 0), meta.finished,
  meta.redelivered, meta.fenced, meta.results_dropped}
return {'ok', redis.call('HLEN', OPEN) - leased, leased, redis.call('ZCARD', DEAD),
  redis.call('ZCARD', DONE), counters, workers}
