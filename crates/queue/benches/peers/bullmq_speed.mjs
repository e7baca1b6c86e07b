// BullMQ: pushed one at a time and in batches, finished one and so many at a time.
import { Queue, Worker } from "bullmq";

const BATCH = 50;
const [url, count] = process.argv.slice(2);
const jobs = Number(count);
const { port } = new URL(url);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };

const say = (what, took) =>
  console.log(`${what.padEnd(44)}${(jobs / (took / 1000)).toFixed(0).padStart(10)} a second`);

for (const batch of [1, BATCH]) {
  const name = `speed-${batch}-${process.pid}`;
  const queue = new Queue(name, { connection });
  await queue.waitUntilReady();
  let begun = performance.now();
  if (batch === 1) {
    for (let n = 0; n < jobs; n++) await queue.add("nothing", {});
  } else {
    for (let n = 0; n < jobs / batch; n++) {
      await queue.addBulk(Array.from({ length: batch }, () => ({ name: "nothing", data: {} })));
    }
  }
  say(`pushed ${batch} at a time`, performance.now() - begun);
  let left = jobs;
  let done;
  const all = new Promise((resolve) => (done = resolve));
  begun = performance.now();
  const worker = new Worker(name, async () => null, { connection, concurrency: batch });
  worker.on("completed", () => --left === 0 && done());
  await all;
  say(`finished ${batch} at a time`, performance.now() - begun);
  await worker.close();
  await queue.obliterate({ force: true });
  await queue.close();
}
process.exit(0);
