-- Adds jobs, all or none. ARGV: max_jobs, max_bytes, max_lanes; for each job id, key, lane,
-- record, max_deliveries, time of the push. A producer waits for this: as few commands as can be.
local FIELDS = 6
local m = redis.call('HMGET', META, 'format', 'bytes', 'seq', 'pushed')
local is_newer = newer(m[1])
if is_newer then return is_newer end
local bytes, seq, pushed = tonumber(m[2] or 0), tonumber(m[3] or 0), tonumber(m[4] or 0)
local ids, fresh, seen, lanes, job_keys = {}, {}, {}, {}, {}
local new_lanes = 0
for at = 4, #ARGV, FIELDS do job_keys[#job_keys + 1] = job_key(ARGV[at]) end
-- Pushed before, and the answer was lost: so rare that all are asked for at once.
local is_repeated = redis.call('EXISTS', unpack(job_keys)) > 0
for at = 4, #ARGV, FIELDS do
  local id, key, lane = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local known = nil
  if is_repeated and redis.call('EXISTS', job_key(id)) == 1 then
    known = id
  elseif key ~= '' then
    known = seen[key] or redis.call('GET', key_key(key)) or nil
  end
  ids[#ids + 1] = known or id
  ids[#ids + 1] = known and 0 or 1
  if not known then
    if key ~= '' then seen[key] = id end
    fresh[#fresh + 1] = at
    bytes = bytes + #ARGV[at + 3]
    if not lanes[lane] then
      lanes[lane] = true
      if redis.call('SISMEMBER', LANES, lane) == 0 then new_lanes = new_lanes + 1 end
    end
  end
end
if #fresh == 0 then return ids end
if redis.call('HLEN', OPEN) + #fresh > tonumber(ARGV[1]) then return {'jobs'} end
if bytes > tonumber(ARGV[2]) then return {'bytes'} end
if new_lanes > 0 then
  if redis.call('SCARD', LANES) + new_lanes > tonumber(ARGV[3]) then return {'lanes'} end
  for lane in pairs(lanes) do
    if redis.call('SADD', LANES, lane) == 1 then
      redis.pcall('XGROUP', 'CREATE', lane_key(lane), G, '0', 'MKSTREAM')
    end
  end
end
local open = {}
for _, at in ipairs(fresh) do
  local id, key, lane, rec = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  seq = seq + 1
  local entry = seq .. '-0'
  redis.call('XADD', lane_key(lane), entry, 'id', id)
  open[#open + 1], open[#open + 2] = entry, id
  redis.call('HSET', job_key(id), 'state', 'submitted', 'entry', entry, 'lane', lane,
    'record', rec, 'bytes', #rec, 'max', ARGV[at + 4], 'pushed', ARGV[at + 5], 'attempt', '0',
    'deliveries', '0')
  if key ~= '' then
    redis.call('HSET', job_key(id), 'key', key)
    redis.call('SET', key_key(key), id)
  end
end
redis.call('HSET', OPEN, unpack(open))
redis.call('HSET', META, 'format', FORMAT, 'bytes', bytes, 'seq', seq, 'pushed', pushed + #fresh)
wake(#fresh)
return ids
