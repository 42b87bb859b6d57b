import { useClient, useConnection, useSignal } from "@ankurah/react";
import { offline } from "./ankurah";
import { reasonOf } from "./notices";

/** Says how the page is connected, and what the server has not got yet. */
export function ConnectionBadge() {
  const { status, connected, pending, error } = useConnection();
  const [kind, text] =
    status === "failed"
      ? ["bad", error?.message ?? "No connection"]
      : connected && pending === 0
        ? ["online", "Online"]
        : connected
          ? ["syncing", `Syncing ${pending}`]
          : status === "connecting" && !error
            ? ["syncing", "Connecting"]
            : ["offline", pending ? `Offline, ${pending} to send` : "Offline"];
  return (
    <span className={`badge ${kind}`} role="status" data-testid="connection">
      <span className="dot" aria-hidden="true" />
      {text}
    </span>
  );
}

/** What the worker has to say: that it cannot work, another version of the page, or no room for the database. */
export function HostBanner() {
  const status = useSignal(useClient().status) as { type?: string; persistent?: boolean } | undefined;
  const { status: connection, error } = useConnection();
  if (offline && connection === "connecting" && error) {
    return (
      <div className="banner" role="status">
        Your messages cannot be opened, which is tried again: {reasonOf(error)}
      </div>
    );
  }
  switch (status?.type) {
    case "reload":
      return (
        <div className="banner" role="status">
          There is a new version of this page.
          <button onClick={() => location.reload()}>Reload</button>
        </div>
      );
    case "waiting":
      return (
        <div className="banner" role="status">
          Another tab has an older version of this page. Reload or close it.
        </div>
      );
    case "ready":
      return status.persistent ? null : (
        <div className="banner" role="status">
          Another tab keeps the messages. What you write here is lost if you close this one without the network.
        </div>
      );
  }
  return null;
}
