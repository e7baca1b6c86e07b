-- The record of a job's outcome. ARGV: id, longest record.
local bytes = redis.call('HSTRLEN', job_key(ARGV[1]), 'outcome')
if bytes == 0 then return {'none'} end
if bytes > tonumber(ARGV[2]) then return {'long'} end
return {'ok', redis.call('HGET', job_key(ARGV[1]), 'outcome')}
