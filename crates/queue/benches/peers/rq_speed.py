"""RQ: pushed one at a time and in batches, finished by its quickest worker (no fork)."""

import logging
import sys
import time

from redis import Redis
from rq import Queue, SimpleWorker

from nothing import nothing

BATCH = 50


def say(what, jobs, took):
    print(f"{what:<44}{jobs / took:>10.0f} a second", flush=True)


def main():
    url, jobs = sys.argv[1], int(sys.argv[2])
    logging.disable(logging.CRITICAL)
    redis = Redis.from_url(url)
    redis.flushall()
    queue = Queue("speed", connection=redis)
    for batch in (1, BATCH):
        begun = time.perf_counter()
        if batch == 1:
            for _ in range(jobs):
                queue.enqueue(nothing)
        else:
            for _ in range(jobs // batch):
                queue.enqueue_many([Queue.prepare_data(nothing) for _ in range(batch)])
        say(f"pushed {batch} at a time", jobs, time.perf_counter() - begun)
        begun = time.perf_counter()
        # RQ's worker takes one job at a time, whatever the batch.
        SimpleWorker([queue], connection=redis).work(burst=True, logging_level="CRITICAL")
        say(f"finished {batch} at a time", jobs, time.perf_counter() - begun)
        assert len(queue) == 0


main()
