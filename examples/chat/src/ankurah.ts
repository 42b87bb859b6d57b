// The page's connection to the data: to a node in a worker, which keeps a copy
// in the browser, or with ?host=remote to the server itself.
import { Client, remote } from "@ankurah/client";
import type { Host } from "@ankurah/client";
import { node } from "virtual:ankurah";
import type { User } from "./session";

const chosen = new URLSearchParams(location.search).get("host") ?? "shared";

/** Whether what is done is kept in this browser. */
export const offline = chosen !== "remote";

export function connect(user: User): Client {
  return new Client(hostOf(user), { credential: user.name });
}

function hostOf(user: User): Host {
  if (chosen === "remote") return remote(`${location.origin.replace(/^http/, "ws")}/pages`);
  return node({
    name: `chat-${user.id}`, // what a browser holds belongs to one user
    env: { CHAT_USER: user.name }, // node/main.go reads it
    worker: chosen === "dedicated" ? "dedicated" : "shared",
  });
}
