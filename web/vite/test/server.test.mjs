// The app's server, which is run while somebody develops.
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { Server } from "../server.js";

const program = (answer) => `package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	c, err := net.Dial("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(c, os.Getpid(), ${answer})
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
}
`;

test("a server is started again when its files change, also after it was killed, and ended at last", { timeout: 60_000 }, async (t) => {
  const root = mkdtempSync(join(import.meta.dirname, ".server-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, "server"));
  const write = (answer) => writeFileSync(join(root, "server/main.go"), program(answer));
  write('"one"');

  // What runs says so to this.
  const listener = createServer().listen(0, "127.0.0.1");
  t.after(() => listener.close());
  await once(listener, "listening");
  const said = async () => {
    const [socket] = await once(listener, "connection");
    const [line] = await once(createInterface(socket), "line");
    const [pid, answer] = line.split(" ");
    return { pid: Number(pid), answer, ended: once(socket.resume(), "close") };
  };
  const errors = new EventEmitter();
  const config = { root, cacheDir: join(root, ".vite"), logger: { error: (text) => errors.emit("said", text) } };
  const address = `127.0.0.1:${listener.address().port}`;
  let next = said();
  const server = new Server({ vite: {}, config, pkg: "./server", args: [address], env: {} });
  const one = await next;
  assert.equal(one.answer, "one");

  next = said();
  write('"two"');
  const two = await next;
  assert.equal(two.answer, "two");
  await one.ended;

  let error = once(errors, "said");
  process.kill(two.pid, "SIGKILL");
  assert.match((await error)[0], /^\.\/server has ended with SIGKILL/);
  next = said();
  write('"three"');
  const three = await next;
  assert.equal(three.answer, "three");

  error = once(errors, "said");
  write("four");
  assert.match((await error)[0], /undefined: four/);
  await server.close();
  await three.ended; // it went on meanwhile
});
