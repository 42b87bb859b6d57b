// React hooks for Ankurah. Queries live in the client and not in components, so
// they survive StrictMode's second mount, a component that suspends before it
// mounts, and a move from one component to another.
import { isID, rowsOf } from "@ankurah/client";
import type { Arg, Client, Connection, Key, Model, Models, Query, Row, RowOf, Rows, Selected, Signal, Snapshot, TextKey, Tx, Which } from "@ankurah/client";
import { createContext, createElement, useCallback, useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import type { ReactNode } from "react";

const Context = createContext<Client | null>(null);

export interface AnkurahProviderProps {
  client: Client;
  /** What client.dehydrate() returned where the page was rendered. */
  initial?: Snapshot;
  children?: ReactNode;
}

/** Gives a client to the hooks of all components inside. */
export function AnkurahProvider({ client, initial, children }: AnkurahProviderProps): ReactNode {
  useMemo(() => initial && client.hydrate(initial), [client, initial]);
  return createElement(Context.Provider, { value: client }, children);
}

/** The client of the nearest provider. */
export function useClient(): Client {
  const client = useContext(Context);
  if (!client) throw new Error("ankurah: no client here: put an <AnkurahProvider client={…}> around this component");
  return client;
}

/** The value of a signal, such as a query or what computed makes of some. */
export function useSignal<T>(signal: Signal<T>): T {
  return useSyncExternalStore(signal.subscribe, signal.get, signal.get);
}

/** How the page is connected. */
export function useConnection(): Connection {
  return useSignal(useClient().connection);
}

type Live<T> = Pick<Query<T>, "get" | "subscribe" | "initial">;

const onServer = typeof document === "undefined";

/** The rows of a query; while a page takes over what a server rendered, those that it was rendered with. */
function useLive<T>(query: Live<T>): Rows<T> {
  return useSyncExternalStore(query.subscribe, query.get, () => (onServer ? query.get() : query.initial));
}

/**
 * The rows of a live query: an array with status, error and synced. With other arguments it shows the rows of before,
 * with the status pending, until those of the new query are there.
 */
export function useQuery<W extends Model<any, any>, const Q extends string>(model: W, text?: Q, ...args: readonly Arg[]): Rows<Selected<RowOf<W>, Q>>;
export function useQuery<N extends keyof Models, const Q extends string>(name: N, text?: Q, ...args: readonly Arg[]): Rows<Selected<Models[N], Q>>;
export function useQuery<T = Row>(name: string, text?: string, ...args: readonly Arg[]): Rows<T>;
export function useQuery(model: Which, text = "", ...args: readonly Arg[]): Rows<any> {
  const client = useClient();
  const query = client.query(model as string, text, ...args);
  const rows = useLive(query);
  // Rows of another user's client, or of another kind, are not shown in the place of these.
  const kind = /^\s*select\s/i.test(text);
  const before = useRef<{ client: Client; model: Which; kind: boolean; rows: Rows<any> }>(undefined);
  useEffect(() => {
    if (rows.status !== "pending") before.current = { client, model, kind, rows };
  });
  const was = rows.status === "pending" ? before.current : undefined;
  const kept = was && was.client === client && was.model === model && was.kind === kind ? was.rows : undefined;
  return useMemo(() => (kept ? rowsOf(kept, rows) : rows), [kept, rows]);
}

/**
 * useQuery that suspends until there are rows, and throws the query's error to the nearest error boundary. On a server
 * it never waits: fetch the query first, or give the provider what was dehydrated; else the page renders it.
 */
export function useSuspenseQuery<W extends Model<any, any>, const Q extends string>(model: W, text?: Q, ...args: readonly Arg[]): Rows<Selected<RowOf<W>, Q>>;
export function useSuspenseQuery<N extends keyof Models, const Q extends string>(name: N, text?: Q, ...args: readonly Arg[]): Rows<Selected<Models[N], Q>>;
export function useSuspenseQuery<T = Row>(name: string, text?: string, ...args: readonly Arg[]): Rows<T>;
export function useSuspenseQuery(model: Which, text?: string, ...args: readonly Arg[]): Rows<any> {
  const query = useClient().query(model as string, text, ...args);
  const rows = useLive(query);
  if (rows.status === "pending") {
    if (onServer) throw new Error(`ankurah: the query ${query.text || "of all"} was not fetched before rendering: the page will`);
    query.retain();
    throw query.ready;
  }
  if (rows.error) throw rows.error;
  return rows;
}

/** One entity: undefined while it is not known, null if it is not there. Without an ID, or with a text that is none, it is null. */
export function useEntity<W extends Model<any, any>>(model: W, id: Key<W> | null | undefined): RowOf<W> | null | undefined;
export function useEntity<N extends keyof Models>(name: N, id: Key<N> | null | undefined): Models[N] | null | undefined;
export function useEntity<T = Row>(name: string, id: TextKey<T> | null | undefined): T | null | undefined;
export function useEntity(model: Which, id: string | null | undefined): any {
  const client = useClient();
  const rows = useLive(id && isID(id) ? client.entity<any>(model as string, id) : nobody);
  if (rows.error) throw rows.error;
  return rows[0] ?? (rows.status === "pending" ? undefined : null);
}

const none = rowsOf<never>([], { status: "ready", error: undefined, synced: true });
const nobody: Live<never> = { get: () => none, subscribe: () => () => {}, initial: none };

/** What useTransaction returns. */
export interface Transaction {
  /** Makes changes, as client.transact does. */
  transact: <R>(f: (tx: Tx) => R, options?: { confirmed?: boolean }) => Promise<R>;
  /** Some are under way. */
  pending: boolean;
  /** Why the last one that has ended was refused. */
  error: Error | undefined;
}

/** Transactions of a component, and how they go. */
export function useTransaction(): Transaction {
  const client = useClient();
  const [state, set] = useState<{ n: number; error: Error | undefined }>({ n: 0, error: undefined });
  const transact = useCallback<Transaction["transact"]>(
    (f, options) => {
      const promise = client.transact(f, options);
      set(({ n, error }) => ({ n: n + 1, error }));
      const ended = (error?: Error) => set(({ n }) => ({ n: n - 1, error }));
      promise.then(() => ended(), ended);
      return promise;
    },
    [client],
  );
  return useMemo(() => ({ transact, pending: state.n > 0, error: state.error }), [transact, state]);
}
