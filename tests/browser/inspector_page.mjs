// The Inspector's page in a headless Chromium: connect to its only server, print the page's text once
// it shows all the words, or when the patience is over.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const { chromium, page, profile, words, patience } = JSON.parse(process.argv[2]);

const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
const browser = spawn(
  chromium,
  [...flags, "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"],
  { stdio: ["ignore", "ignore", "pipe"] },
);
const address = await new Promise((found) =>
  createInterface({ input: browser.stderr }).on("line", (line) => {
    const match = line.match(/DevTools listening on (ws:.*)/);
    if (match) found(new URL(match[1]));
  }),
);
const targets = await (await fetch(`http://${address.host}/json`)).json();
const tab = targets.find(({ type }) => type === "page");
const socket = new WebSocket(tab.webSocketDebuggerUrl);
await once(socket, "open");

let number = 0;
const waiting = new Map();
socket.onmessage = ({ data }) => {
  const { id, result } = JSON.parse(data);
  waiting.get(id)?.(result);
};

/** The answer to a command of the browser's protocol. */
function ask(method, params = {}) {
  return new Promise((answered) => {
    waiting.set(++number, answered);
    socket.send(JSON.stringify({ id: number, method, params }));
  });
}

const end = Date.now() + patience * 1000;

/** The value of an expression in the page, once it fits or the patience is over. */
async function until(expression, fits = Boolean) {
  for (;;) {
    const { result } = await ask("Runtime.evaluate", { expression, returnByValue: true });
    if (fits(result?.value) || Date.now() > end) return result?.value;
    await new Promise((later) => setTimeout(later, 100));
  }
}

await ask("Page.enable");
await ask("Page.navigate", { url: page });
const connect = `document.querySelector('input[aria-label^="Connect or disconnect"]')`;
await until(`!!${connect}`);
await ask("Runtime.evaluate", { expression: `${connect}.click()` });
const shown = await until("document.body.innerText", (text) => {
  const lines = new Set(text?.split("\n"));
  return words.every((word) => lines.has(word));
});
process.stdout.write(JSON.stringify(shown) + "\n");
const gone = once(browser, "exit");
void ask("Browser.close"); // which may go before it answers
await gone;
process.exit(0);
