-- A job's state. ARGV: id, longest text.
local k = job_key(ARGV[1])
local NAMES = {'state', 'attempt', 'deliveries', 'key', 'worker', 'pushed', 'finished', 'dead', 'canceled', 'reasons'}
for _, name in ipairs(NAMES) do
  if redis.call('HSTRLEN', k, name) > tonumber(ARGV[2]) then return {'long', name} end
end
local f = redis.call('HMGET', k, unpack(NAMES))
if not f[1] then return {'none'} end
local out = {'ok'}
for i = 1, #NAMES do out[i + 1] = f[i] or '' end
-- Only whether.
out[10] = f[9] and '1' or ''
return out
