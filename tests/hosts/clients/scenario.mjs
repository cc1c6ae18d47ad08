// What every client does with the queue; each thing seen is a line of JSON on standard output.

import { writeFileSync } from "node:fs";

const setup = JSON.parse(process.argv[2]);

/** How to start the server, for the transports of the SDKs. */
export const server = { ...setup.server, env: process.env };

/** What the test asks of this client. */
export const options = setup.options;

/** The transport to the server that listens at the test's address, else to one that is started. */
export function transport(Http, Stdio) {
  if (!options.url) return new Stdio(server);
  return new Http(new URL(options.url), { requestInit: { headers: options.headers } });
}

export function say(event, value) {
  process.stdout.write(JSON.stringify([event, value]) + "\n");
}

export function openGate() {
  writeFileSync(options.gate, "");
}

/** The person's answer to a form. */
export function answer({ params }) {
  say("asked", params);
  return { action: "accept", content: { name: "Ada" } };
}

/**
 * Run a job, watch it, read it, stop another, and answer what a third asks.
 *
 * `call(tool, arguments, onprogress)` gives a tool's answer, `read(uri)` a resource's text,
 * `subscribe(uri)` resolves once changes of the resource are told.
 */
export async function useJobs({ call, read, subscribe }) {
  const handle = await call("gated", { gate: options.gate });
  say("handle", handle);
  const id = handle.structuredContent.job_id;
  const uri = `queue://jobs/${id}`;
  await subscribe(uri);

  const atTheGate = Promise.withResolvers();
  const waiting = call("queue_wait_job", { job_ids: [id] }, (progress) => {
    say("progress", progress);
    if (progress.message?.includes("at the gate")) atTheGate.resolve();
  });
  await Promise.race([atTheGate.promise, waiting]);
  say("status", JSON.parse(await read(uri)));
  say("logs", await read(`${uri}/logs`));
  openGate();
  say("waited", await waiting);

  const other = (await call("slow", { seconds: 600 })).structuredContent.job_id;
  const view = { job_id: other };
  while ((await call("queue_get_job_status", view)).structuredContent.status !== "running");
  await call("queue_stop_job", view);
  say("stopped", await call("queue_wait_job", { job_ids: [other] }));

  const asking = (await call("greet", {})).structuredContent.job_id;
  say("answered", await call("queue_wait_job", { job_ids: [asking] }));

  say("refused", await call("queue_get_job_status", { job_id: "no-such-job" }));
}
