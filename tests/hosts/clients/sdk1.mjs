// The TypeScript SDK 1.x, which speaks the handshake era.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  ElicitRequestSchema,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";

import { answer, say, transport, useJobs } from "./scenario.mjs";

const client = new Client(
  { name: "sdk1", version: "0" },
  { capabilities: { elicitation: { form: {} } } },
);
client.setRequestHandler(ElicitRequestSchema, answer);
await client.connect(transport(StreamableHTTPClientTransport, StdioClientTransport));
const { tools } = await client.listTools(); // from now on results are checked against the schemas
say("connected", { tools: tools.map((tool) => tool.name) });

client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) =>
  say("updated", params.uri),
);

await useJobs({
  call: (name, args, onprogress) =>
    client.callTool({ name, arguments: args }, undefined, { onprogress }),
  read: async (uri) => (await client.readResource({ uri })).contents[0].text,
  subscribe: (uri) => client.subscribeResource({ uri }),
});
await client.close();
