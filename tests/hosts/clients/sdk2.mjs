// The client package of the TypeScript SDK 2.x, in the era that the test names.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

import { answer, options, say, transport, useJobs } from "./scenario.mjs";

const client = new Client(
  { name: "sdk2", version: "0" },
  {
    capabilities: { elicitation: { form: {} } },
    versionNegotiation: { mode: options.mode },
  },
);
client.setRequestHandler("elicitation/create", answer);
await client.connect(transport(StreamableHTTPClientTransport, StdioClientTransport));
const { tools } = await client.listTools(); // from now on results are checked against the schemas
say("connected", { era: client.getProtocolEra(), tools: tools.map((tool) => tool.name) });

client.setNotificationHandler("notifications/resources/updated", ({ params }) =>
  say("updated", params.uri),
);

let subscription;
await useJobs({
  call: (name, args, onprogress) => client.callTool({ name, arguments: args }, { onprogress }),
  read: async (uri) => (await client.readResource({ uri })).contents[0].text,
  subscribe: async (uri) => {
    if (client.getProtocolEra() === "modern")
      subscription = await client.listen({ resourceSubscriptions: [uri] });
    else await client.subscribeResource({ uri });
  },
});
await subscription?.close();
await client.close();
