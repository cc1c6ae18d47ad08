// The official TypeScript requester of the tasks extension, on the client of the SDK 2.x.

import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { createTaskSessionFromClient } from "@modelcontextprotocol/ext-tasks/client";

import { answer, openGate, options, say, server } from "./scenario.mjs";

const VERSION = "2026-07-28";
const INFO = { name: "ext-tasks", version: "0" };
const CAPABILITIES = { elicitation: { form: {} } };

/** A stdio transport beside which requests go that the SDK's client does not know. */
class SharedTransport {
  #inner = new StdioClientTransport(server);
  #waiting = new Map();

  async start() {
    this.#inner.onclose = () => this.onclose?.();
    this.#inner.onerror = (error) => this.onerror?.(error);
    this.#inner.onmessage = (message, extra) => {
      const answered = this.#waiting.get(message.id);
      if (!answered) return this.onmessage?.(message, extra);
      this.#waiting.delete(message.id);
      const { result, error } = message;
      answered(error ? { kind: "error", error } : { kind: "result", result });
    };
    await this.#inner.start();
  }

  send = (message) => this.#inner.send(message);
  close = () => this.#inner.close();

  dispatch = async (request) => {
    const id = crypto.randomUUID();
    const { promise, resolve } = Promise.withResolvers();
    this.#waiting.set(id, resolve);
    await this.#inner.send({ jsonrpc: "2.0", id, ...request });
    return promise;
  };
}

async function connected(use) {
  const client = new Client(INFO, {
    capabilities: CAPABILITIES,
    versionNegotiation: { mode: { pin: VERSION } },
  });
  const transport = new SharedTransport();
  await client.connect(transport);
  const session = createTaskSessionFromClient(client, {
    endpointId: "mcp-queue",
    rawDispatch: transport.dispatch,
    v2RequestFraming: {
      protocolVersion: VERSION,
      clientInfo: INFO,
      clientCapabilities: CAPABILITIES,
    },
    onInputRequest: async (request) => answer(request),
  });
  try {
    return await use(session, client);
  } finally {
    await client.close(); // a session that is closed before would cancel what it left
  }
}

/** The task of an execution, once it is at the gate, and what was told until then. */
async function atTheGate(execution) {
  for await (const { task } of execution.updates()) {
    say("task", task);
    if (task?.statusMessage?.includes("at the gate")) return;
  }
}

const reference = await connected(async (session, client) => {
  say("capabilities", session.capabilities);

  const execution = await session.callTool("gated", { gate: options.gate });
  say("created", { kind: execution.kind, ...execution.handle });
  await atTheGate(execution);
  const uri = `queue://jobs/${execution.handle.taskId}`;
  const read = async (uri) => (await client.readResource({ uri })).contents[0].text;
  say("status", JSON.parse(await read(uri)));
  say("logs", await read(`${uri}/logs`));
  openGate();
  say("settled", (await execution.settle()).outcome);

  const stopped = await session.callTool("slow", { seconds: 600 });
  await stopped.cancel();
  say("cancelled", (await stopped.settle()).outcome);

  const asking = await session.callTool("greet", {});
  say("answered", (await asking.settle()).outcome);

  const immediate = await session.callTool("both", {});
  say("immediate", { kind: immediate.kind, outcome: (await immediate.settle()).outcome });

  const left = await session.callTool("slow", { seconds: 4 });
  return left.serializeReference();
});

// Another server process on the same registry is asked for the task that was left.
await connected(async (session) => {
  const resumed = await session.resumeTask(reference);
  say("resumed", (await resumed.settle()).outcome);
});
