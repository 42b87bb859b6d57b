// An app for the tests: a page that shows what its node answers.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const go = (answer) => `//go:build js

package main

import (
	"context"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/webhost"
)

func main() {
	_ = webhost.Run(func(context.Context, storage.Engine) (webhost.Accept, error) { return accept, nil })
}

func accept(ctx context.Context, c transport.Conn) error {
	for {
		if _, err := c.Receive(ctx); err != nil {
			return err
		}
		if err := c.Send(ctx, []byte(${answer})); err != nil {
			return err
		}
	}
}
`;

const files = {
  "index.html": `<!doctype html><link rel="icon" href="data:,"><p id="answer"></p><script type="module" src="/main.ts"></script>`,
  "main.ts": `import { build, node } from "virtual:ankurah";
const answer = document.getElementById("answer")!;
document.title = build;
node({ name: "app" })({
  open: (port) => port.send(new TextEncoder().encode("?").buffer),
  frame: (frame) => (answer.textContent = new TextDecoder().decode(frame)),
  lost: (reason) => console.error(reason),
  status: () => {},
});
`,
};

/** Makes an app in a folder of its own, inside this module so that its Go program finds the others. */
export function makeApp() {
  const root = mkdtempSync(join(import.meta.dirname, ".app-"));
  mkdirSync(join(root, "node"));
  for (const name in files) writeFileSync(join(root, name), files[name]);
  const write = (answer) => writeFileSync(join(root, "node/main.go"), go(answer));
  write('"one"');
  return { root, write, remove: () => rmSync(root, { recursive: true, force: true }) };
}
