-- A worker's one call: ends, renewals, reports, new leases. ARGV: worker, lease, want, recover
-- (0, 1 a lost answer, 2 a start), report, max_job_bytes, bytes after which no job is added,
-- max_results, ttl, max_bytes, how many of the wanted jobs may have been delivered before; then,
-- each after its number: lanes; ends (id, attempt, kind, a, b); held (id, attempt); reported.
local is_newer = newer(meta.format)
if is_newer then return is_newer end
-- A first write that takes no memory: the others may follow even where there is none left.
redis.call('DEL', P .. ':none')
local worker, lease, want = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local recover, report = ARGV[4], ARGV[5] == '1'
local job_bytes_max, answer_bytes_max = tonumber(ARGV[6]), tonumber(ARGV[7])
local SWEEP_EVERY, SWEEP_COUNT, AUDIT_EVERY, TIDY_EVERY = 50, 100, 1000, 10000
local again = tonumber(ARGV[11])
local at = 12
local function next_arg()
  at = at + 1
  return ARGV[at - 1]
end
local lanes = {}
for i = 1, tonumber(next_arg()) do lanes[i] = next_arg() end
local ends_out, held_out, jobs_out = {}, {}, {}
local answer_bytes, lapsed, lapsed_dead = 0, 0, 0
-- Whether the answer takes no more jobs.
local function is_full() return #jobs_out >= want * 6 or answer_bytes >= answer_bytes_max end

-- Makes this worker the entry's owner, for the lease.
local function own(lane, entry, attempt)
  local r = redis.call('XCLAIM', lane_key(lane), G, worker, 0, entry,
    'TIME', now + lease - IDLE, 'RETRYCOUNT', attempt, 'JUSTID')
  return r[1] ~= nil
end

-- Lets the entry wait, in nobody's hands.
local function park(id, lane, entry, delay)
  redis.call('HSET', job_key(id), 'state', 'submitted')
  local r = redis.call('XCLAIM', lane_key(lane), G, PARKED, 0, entry,
    'TIME', now + delay - IDLE, 'JUSTID')
  if not r[1] then
    redis.call('HDEL', OPEN, entry)
    enlist(id, lane)
  end
  if delay == 0 then
    redis.call('HDEL', META, 'sweep:' .. lane)
    wake(1)
  end
end

-- A lease has ended without an outcome. Gives what became of the job: canceled (C), dead (D),
-- or nothing, where it may go on.
local function fail(id, lane, entry, why, counts)
  local k = job_key(id)
  local f = redis.call('HMGET', k, 'attempt', 'deliveries', 'max', 'canceled', 'bytes')
  if f[4] then
    record(id, lane, entry, f[5], 'canceled', f[4], false)
    settle()
    return 'C'
  end
  if not counts then redis.call('HINCRBY', k, 'deliveries', -1) end
  if why then
    add_reason(id, f[1], why)
    add('redelivered', 1)
  end
  if counts and tonumber(f[2]) >= tonumber(f[3]) then
    bury(id, lane, entry)
    return 'D'
  end
end

local function finish(id, attempt, kind, a, b)
  local f = redis.call('HMGET', job_key(id), 'state', 'attempt', 'lane', 'entry', 'bytes')
  if f[2] ~= attempt then
    add('fenced', 1)
    return 'F'
  end
  if f[1] ~= 'working' then
    -- Said before, and the answer was lost.
    if kind ~= 'o' or f[1] ~= a then return 'F' end
    if report and not redis.call('ZSCORE', UNREPORTED, id) then return 'T' end
    local known = redis.call('HMGET', job_key(id), 'reporter', 'worker')
    return (known[1] or known[2]) == worker and 'R' or 'T'
  end
  if kind == 'o' then
    record(id, f[3], f[4], f[5], a, b, report)
    return 'R'
  end
  local why = kind ~= 'b' and a or nil
  local ended = fail(id, f[3], f[4], why, kind == 'r')
  if ended then return ended end
  park(id, f[3], f[4], kind == 'b' and 0 or tonumber(b))
  return 'Q'
end

local ends = tonumber(next_arg())
for i = 1, ends do
  local id, attempt, kind, a, b = next_arg(), next_arg(), next_arg(), next_arg(), next_arg()
  ends_out[i] = finish(id, attempt, kind, a, b)
end
if ends > 0 then trim(tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])) end

local mine = {}
for i = 1, tonumber(next_arg()) do
  local id, attempt = next_arg(), next_arg()
  local f = redis.call('HMGET', job_key(id), 'state', 'attempt', 'lane', 'entry', 'canceled')
  if f[1] ~= 'working' or f[2] ~= attempt then
    held_out[i] = 'L'
  elseif own(f[3], f[4], attempt) then
    mine[f[4]] = true
    held_out[i] = f[5] and 'C' or 'H'
  else
    -- Its entry was deleted by somebody: it waits again.
    redis.call('HDEL', OPEN, f[4])
    enlist(id, f[3])
    held_out[i] = 'L'
  end
end

for _ = 1, tonumber(next_arg()) do
  redis.call('ZREM', UNREPORTED, next_arg())
end

-- Begins a lease of an entry that is this worker's. Where the entry's job is known, its id.
-- `is_owned` says that the entry is the worker's for the lease already.
local function begin(lane, entry, id, why, counts, is_owned)
  id = id or redis.call('HGET', OPEN, entry)
  local k = id and job_key(id)
  local bytes = id and redis.call('HSTRLEN', k, 'record')
  local is_sound = bytes and bytes > 0 and bytes <= job_bytes_max
  -- Only a sound record is read; `max` takes its place.
  local f = id and redis.call('HMGET', k, 'state', 'attempt', 'deliveries', 'key', 'pushed',
    'worker', 'entry', is_sound and 'record' or 'max')
  -- Not the entry of a job: of one that has ended, or by a foreign hand.
  if not (f and f[1] and f[7] == entry) then return delist(lane, entry) end
  if f[1] == 'working' then
    why = why or ('worker ' .. f[6] .. ' was silent for longer than its lease')
    local ended = fail(id, lane, entry, why, counts)
    if counts then
      lapsed = lapsed + 1
      if ended == 'D' then lapsed_dead = lapsed_dead + 1 end
    end
    if ended then return end
    if not counts then f[3] = f[3] - 1 end
  end
  if not is_sound then
    add_reason(id, f[2], 'the record has ' .. bytes .. ' bytes: none, or more than max_job_bytes')
    return bury(id, lane, entry)
  end
  local attempt, deliveries = f[2] + 1, f[3] + 1
  if is_full() or (deliveries > 1 and again <= 0) then return park(id, lane, entry, 0) end
  if not is_owned and not own(lane, entry, attempt) then
    redis.call('HDEL', OPEN, entry)
    return enlist(id, lane)
  end
  redis.call('HSET', k, 'state', 'working', 'attempt', attempt, 'deliveries', deliveries,
    'worker', worker)
  if deliveries > 1 then again = again - 1 end
  local n = #jobs_out
  jobs_out[n + 1], jobs_out[n + 2], jobs_out[n + 3] = id, attempt, deliveries
  jobs_out[n + 4], jobs_out[n + 5], jobs_out[n + 6] = f[4] or '', f[5], f[8]
  answer_bytes = answer_bytes + bytes
end

-- Entries that are this worker's by name, and that it does not know.
local function recover_own(lane)
  local r = redis.pcall('XREADGROUP', 'GROUP', G, worker, 'COUNT', 1000, 'STREAMS', lane_key(lane), '0')
  if not r or r.err then return end
  for _, entry in ipairs(r[1][2]) do
    if not mine[entry[1]] then
      local lost = recover == '1' and 'the answer with the lease was lost' or
        'worker ' .. worker .. ' began anew'
      begin(lane, entry[1], nil, lost, recover == '2')
    end
  end
end

-- Entries whose lease has ended or whose pause is over; the cursor goes on where it was.
local function sweep(lane, due, cursor)
  due = tonumber(due or 0)
  -- A time far ahead was written before the clock was set back.
  if due > now and due <= now + SWEEP_EVERY then return end
  local r = redis.pcall('XAUTOCLAIM', lane_key(lane), G, worker, IDLE, cursor or '0-0',
    'COUNT', SWEEP_COUNT, 'JUSTID')
  if r.err then return end
  redis.call('HSET', META, 'sweep:' .. lane, now + SWEEP_EVERY, 'cursor:' .. lane, r[1])
  for _, entry in ipairs(r[2]) do
    begin(lane, entry, nil, nil, true)
  end
  -- Since 7.0: entries that somebody deleted.
  for _, entry in ipairs(r[3] or {}) do
    local id = redis.call('HGET', OPEN, entry)
    if id then
      redis.call('HDEL', OPEN, entry)
      enlist(id, lane)
    end
  end
end

-- Entries that nobody was given yet. Read without a lease and then given one, all at once: the
-- server would write each lease twice else.
local function read(lane, n)
  local function ask()
    return redis.pcall('XREADGROUP', 'GROUP', G, worker, 'COUNT', n, 'NOACK',
      'STREAMS', lane_key(lane), '>')
  end
  local r = ask()
  if r and r.err and string.find(r.err, 'NOGROUP', 1, true) then
    redis.call('XGROUP', 'CREATE', lane_key(lane), G, '0', 'MKSTREAM')
    r = ask()
  end
  if r and r.err then error(r.err) end
  if not r then return 0 end
  local entries = {}
  for i, entry in ipairs(r[1][2]) do entries[i] = entry[1] end
  call_many({'XCLAIM', lane_key(lane), G, worker, 0}, entries,
    {'TIME', now + lease - IDLE, 'FORCE', 'JUSTID'})
  for _, entry in ipairs(r[1][2]) do
    -- The one field of an entry is its job's id.
    begin(lane, entry[1], entry[2] and entry[2][2], nil, true, true)
  end
  return #entries
end

-- Jobs whose entry somebody deleted before anybody was given it.
local function audit()
  local due = tonumber(redis.call('HGET', META, 'audit') or 0)
  if due > now and due <= now + AUDIT_EVERY then return end
  redis.call('HSET', META, 'audit', now + AUDIT_EVERY)
  local entries = 0
  for _, lane in ipairs(redis.call('SMEMBERS', LANES)) do
    entries = entries + redis.call('XLEN', lane_key(lane))
  end
  if entries >= redis.call('HLEN', OPEN) then return end
  local r = redis.call('HSCAN', OPEN, redis.call('HGET', META, 'auditor') or '0', 'COUNT', 1000)
  redis.call('HSET', META, 'auditor', r[1])
  for i = 1, #r[2], 2 do
    local entry, id = r[2][i], r[2][i + 1]
    local f = redis.call('HMGET', job_key(id), 'state', 'lane')
    if f[1] == 'submitted' and #redis.call('XRANGE', lane_key(f[2]), entry, entry) == 0 then
      redis.call('XACK', lane_key(f[2]), G, entry)
      redis.call('HDEL', OPEN, entry)
      enlist(id, f[2])
    end
  end
end

-- Consumers of workers that are gone: without entries they are dropped.
local function tidy()
  if meta.tidy > now and meta.tidy <= now + TIDY_EVERY then return end
  set('tidy', now + TIDY_EVERY)
  local gone = redis.call('ZRANGEBYSCORE', WORKERS, '-inf', now - 6 * TIDY_EVERY, 'LIMIT', 0, 20)
  for _, name in ipairs(gone) do
    local clean = true
    for _, lane in ipairs(redis.call('SMEMBERS', LANES)) do
      local pending = redis.pcall('XPENDING', lane_key(lane), G, '-', '+', 1, name)
      if pending[1] then
        clean = false
      elseif not pending.err then
        redis.call('XGROUP', 'DELCONSUMER', lane_key(lane), G, name)
      end
    end
    if clean then redis.call('ZREM', WORKERS, name) end
  end
end

-- After eight takes in a row from higher lanes, one from the lowest that waits; of those turns
-- every eighth belongs to the normal lanes, which else would wait for ever where neither the high
-- nor the low ones empty. `lows` counts turns of low lanes since a normal one was served.
local function serve()
  local TURN = 8
  local takes, lows = meta.takes, meta.lows
  local empty, waiting = {}, #lanes
  local function priority(i) return string.sub(lanes[i], 1, 1) end
  -- Reads from the first of these lanes that has entries.
  local function read_first(order, n)
    for _, i in ipairs(order) do
      if not empty[i] then
        local took = read(lanes[i], n)
        if took < n then
          empty[i] = true
          waiting = waiting - 1
        end
        if took > 0 then return took, i end
      end
    end
    return 0
  end
  local falling, rising, normal = {}, {}, {}
  for i = 1, #lanes do
    falling[i], rising[#lanes + 1 - i] = i, i
    if priority(i) == '1' then normal[#normal + 1] = i end
  end
  while not is_full() and waiting > 0 do
    local left, took, from = want - #jobs_out / 6, 0, nil
    local is_turn = takes >= TURN
    if is_turn then
      if lows >= TURN - 1 then took, from = read_first(normal, 1) end
      if took == 0 then took, from = read_first(rising, 1) end
    else
      took, from = read_first(falling, waiting == 1 and left or math.min(left, TURN - takes))
    end
    if took == 0 then break end
    if priority(from) == '1' then
      lows = 0
    elseif is_turn and priority(from) == '2' then
      lows = lows + 1
    end
    -- Where nothing else waits, nothing is passed over.
    takes = (is_turn or (waiting == 1 and not empty[from])) and 0 or takes + took
  end
  if takes ~= meta.takes then set('takes', takes) end
  if lows ~= meta.lows then set('lows', lows) end
end

if recover ~= '0' then
  for _, lane in ipairs(lanes) do recover_own(lane) end
end
if want > 0 then
  local fields = {}
  for i, lane in ipairs(lanes) do
    fields[2 * i - 1], fields[2 * i] = 'sweep:' .. lane, 'cursor:' .. lane
  end
  local known = fields[1] and redis.call('HMGET', META, unpack(fields)) or {}
  for i, lane in ipairs(lanes) do
    if not is_full() and again > 0 then sweep(lane, known[2 * i - 1], known[2 * i]) end
  end
  serve()
  if #jobs_out == 0 then audit() end
  tidy()
end
save()
redis.call('ZADD', WORKERS, now + lease, worker)
return {'ok', ends_out, held_out, jobs_out, redis.call('HLEN', OPEN), redis.call('SCARD', LANES),
  lapsed, lapsed_dead, report and redis.call('ZCARD', UNREPORTED) or 0, answer_bytes >= answer_bytes_max and 1 or 0}
