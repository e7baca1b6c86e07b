"""Celery: pushed one at a time and in batches, finished by a solo worker and by one with threads.
Late acknowledgement and results in Redis, for guarantees as near to ours as it has them."""

import os
import subprocess
import sys
import threading
import time

from celery import Celery
from redis import Redis

BATCH = 50
url = sys.argv[1]
app = Celery("speed", broker=url, backend=url)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_prefetch_multiplier=4,
)


@app.task
def nothing():
    return None


def say(what, jobs, took):
    print(f"{what:<44}{jobs / took:>10.0f} a second", flush=True)


def measure(jobs, batch):
    redis = Redis.from_url(url)
    redis.flushall()
    begun = time.perf_counter()
    if batch == 1:
        for _ in range(jobs):
            nothing.apply_async()
    else:
        # Celery has no call for many: a batch shares a producer.
        with app.producer_pool.acquire(block=True) as producer:
            for _ in range(jobs):
                nothing.apply_async(producer=producer)
    say(f"pushed {batch} at a time", jobs, time.perf_counter() - begun)
    app.conf.worker_prefetch_multiplier = 1 if batch == 1 else 4

    def watch():
        # From the first job taken to the last acknowledged: a worker's start does not count.
        first = None
        while True:
            left = redis.llen("celery") + redis.hlen("unacked")
            if first is None and redis.llen("celery") < jobs:
                first = (time.perf_counter(), left)
            if left == 0:
                begun, done = first
                say(f"finished {batch} at a time", done, time.perf_counter() - begun)
                # A worker cannot be stopped from beside it without noise.
                os._exit(0)
            time.sleep(0.002)

    threading.Thread(target=watch, daemon=True).start()
    worker = app.Worker(
        pool="solo" if batch == 1 else "threads",
        concurrency=batch,
        loglevel="CRITICAL",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()


if len(sys.argv) > 3:
    measure(int(sys.argv[2]), int(sys.argv[3]))
else:
    # A worker is good for one run of a process.
    for size in (1, BATCH):
        again = [sys.executable, *sys.argv, str(size)]
        subprocess.run(again, stderr=subprocess.DEVNULL, check=True)
