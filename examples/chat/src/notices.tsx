// What the user has to be told: refusals with their reason, and what can be
// taken back.
import { ClosedError } from "@ankurah/client";
import type { Tx } from "@ankurah/client";
import { useClient } from "@ankurah/react";
import { createContext, useCallback, useContext, useEffect, useMemo, useState } from "react";
import type { ReactNode } from "react";

export interface Notice {
  readonly text: string;
  /** Why, if it is bad news. */
  readonly reason?: string;
  /** What the user can do about it. */
  readonly action?: { readonly label: string; readonly run: () => void };
  /** How long it stays in milliseconds; default: until it is dismissed. */
  readonly lasts?: number;
}

interface Told extends Notice {
  readonly number: number;
}

const Context = createContext<(notice: Notice) => void>(() => {});

let number = 0;

export function NoticeProvider({ children }: { children: ReactNode }) {
  const client = useClient();
  const [notices, setNotices] = useState<readonly Told[]>([]);
  const tell = useCallback((notice: Notice) => setNotices((before) => [...before.slice(-3), { ...notice, number: ++number }]), []);
  // What was done before the page was opened, and refused meanwhile.
  useEffect(
    () => client.onRefused((error, tx) => !tx && tell({ text: "Something that you did earlier was taken back.", reason: reasonOf(error) })),
    [client, tell],
  );
  const dismiss = useCallback((n: number) => setNotices((before) => before.filter((b) => b.number !== n)), []);
  return (
    <Context.Provider value={tell}>
      {children}
      <div className="notices">
        {notices.map((n) => (
          <Item key={n.number} notice={n} dismiss={dismiss} />
        ))}
      </div>
    </Context.Provider>
  );
}

function Item({ notice, dismiss }: { notice: Told; dismiss: (n: number) => void }) {
  const { number, text, reason, action, lasts } = notice;
  useEffect(() => {
    if (!lasts) return;
    const timer = setTimeout(dismiss, lasts, number);
    return () => clearTimeout(timer);
  }, [dismiss, lasts, number]);
  return (
    <div className={reason ? "notice bad" : "notice"} role={reason ? "alert" : "status"}>
      <p>
        <strong>{text}</strong>
        {reason && <span className="reason"> {reason}</span>}
      </p>
      {action && (
        <button
          onClick={() => {
            action.run();
            dismiss(number);
          }}
        >
          {action.label}
        </button>
      )}
      <button className="icon" aria-label="Dismiss" onClick={() => dismiss(number)}>
        ✕
      </button>
    </div>
  );
}

export function useTell(): (notice: Notice) => void {
  return useContext(Context);
}

/**
 * Makes changes. They show at once. If the server refuses them, be it much later, they are taken back and the user is
 * told that failed, and why; again is what the user may try then.
 */
export function useChange(): (f: (tx: Tx) => void, failed: string, again?: Notice["action"]) => void {
  const client = useClient();
  const tell = useTell();
  return useMemo(
    () => (f, failed, action) => {
      client.transact(f, { confirmed: true }).catch((error: Error) => {
        if (error instanceof ClosedError) return; // the node goes on with it
        tell({ text: failed, reason: reasonOf(error), action });
      });
    },
    [client, tell],
  );
}

/** What an error says, without which transaction and whose entity it was. */
export function reasonOf(error: Error): string {
  const text = error.message.replace(/^.*(constraint violated by \S+ \S+|denied: .* in \S+): /s, "").replace(/^ankurah: /, "");
  return text.charAt(0).toUpperCase() + text.slice(1) + ".";
}
