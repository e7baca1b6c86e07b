-- Steps that all scripts but the push share; the push leaves them out for speed.
-- The consumer that holds entries which wait: handed back, or between two deliveries.
local PARKED = '-'
-- Milliseconds of idleness after which an entry may be claimed. Longer than any lease: a lease
-- of L is begun by setting the entry's idle time to IDLE - L.
local IDLE = 90000000
local DONE, DEAD, UNREPORTED = P .. ':done', P .. ':dead', P .. ':unreported'
local WORKERS = P .. ':workers'
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- The next number of the one sequence of a queue.
local function next_seq() return redis.call('HINCRBY', META, 'seq', 1) end

-- Counters are added up here and written once, by count().
local counters = {}
local function add(field, by) counters[field] = (counters[field] or 0) + by end
local function count()
  for field, by in pairs(counters) do
    if by ~= 0 then redis.call('HINCRBY', META, field, by) end
  end
end

-- Gives a job a new entry at the end of its lane.
local function enlist(id, lane)
  local entry = next_seq() .. '-0'
  redis.call('XADD', lane_key(lane), entry, 'id', id)
  redis.call('HSET', OPEN, entry, id)
  redis.call('HSET', job_key(id), 'state', 'submitted', 'entry', entry)
end

-- Takes a job's entry out of its lane.
local function delist(lane, entry)
  redis.call('XACK', lane_key(lane), G, entry)
  redis.call('XDEL', lane_key(lane), entry)
  redis.call('HDEL', OPEN, entry)
end

-- Removes a job that is in no lane, with all that belongs to it.
local function forget(id)
  local f = redis.call('HMGET', job_key(id), 'key', 'bytes')
  if f[1] then redis.call('DEL', key_key(f[1])) end
  redis.call('DEL', job_key(id))
  redis.call('ZREM', DONE, id)
  redis.call('ZREM', DEAD, id)
  redis.call('ZREM', UNREPORTED, id)
  if f[2] then add('bytes', -tonumber(f[2])) end
end

-- Adds a reason to a job; keeps the last few.
local function add_reason(id, attempt, why)
  local k = job_key(id)
  local lines = (redis.call('HGET', k, 'reasons') or '') .. 'lease ' .. attempt .. ': ' .. why .. '\n'
  local _, n = string.gsub(lines, '\n', '')
  while n > 8 do
    lines = string.sub(lines, string.find(lines, '\n', 1, true) + 1)
    n = n - 1
  end
  redis.call('HSET', k, 'reasons', lines)
end

-- Puts a job on the dead list.
local function bury(id, lane, entry)
  delist(lane, entry)
  redis.call('HSET', job_key(id), 'state', 'failed', 'dead', 1, 'finished', now)
  redis.call('ZADD', DEAD, next_seq(), id)
end

-- Records the one outcome of a job, of which so many bytes counted before. Steps that free memory
-- come first: a server that is out of memory refuses a script whose first write takes some.
local function record(id, lane, entry, bytes, state, outcome, report)
  delist(lane, entry)
  -- The prompt is of no use any more.
  redis.call('HSET', job_key(id), 'record', '', 'state', state, 'outcome', outcome,
    'finished', now, 'bytes', #outcome)
  local order = next_seq()
  redis.call('ZADD', DONE, order, id)
  if report then redis.call('ZADD', UNREPORTED, order, id) end
  add('bytes', #outcome - tonumber(bytes or 0))
  add('finished', 1)
end

-- Drops outcomes beyond their bounds, oldest first, never the newest, and not all at once.
local function trim(results_max, ttl, bytes_max)
  local kept = redis.call('ZCARD', DONE)
  local m = redis.call('HMGET', META, 'bytes', 'trimmed')
  local bytes, due = tonumber(m[1] or 0) + (counters.bytes or 0), tonumber(m[2] or 0)
  local TRIM_EVERY = 1000
  -- A time far ahead was written before the clock was set back.
  local by_age = due <= now or due > now + TRIM_EVERY or ttl < TRIM_EVERY
  if by_age then redis.call('HSET', META, 'trimmed', now + TRIM_EVERY) end
  for _ = 1, 256 do
    local too_many = kept > results_max or (kept > 1 and bytes > bytes_max)
    if not (too_many or by_age) then return end
    local oldest = redis.call('ZRANGE', DONE, 0, 0)[1]
    if not oldest then return end
    local f = redis.call('HMGET', job_key(oldest), 'finished', 'bytes')
    if not too_many and tonumber(f[1] or 0) + ttl >= now then return end
    forget(oldest)
    redis.call('ZREM', DONE, oldest)
    add('results_dropped', 1)
    kept, bytes = kept - 1, bytes - tonumber(f[2] or 0)
  end
end
