import type { EntityId } from "@ankurah/client";
import { useClient, useQuery } from "@ankurah/react";
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { Composer } from "./Composer";
import { ConnectionBadge } from "./Connection";
import { MessageItem } from "./MessageItem";
import { Membership, Message } from "./models.gen";
import type { Room } from "./models.gen";
import { useChange } from "./notices";

const page = 50;
const newest = `room = ? ORDER BY sent DESC LIMIT ${page}`;

export function RoomView({ room, me }: { room: Room; me: EntityId<"User"> }) {
  const client = useClient();
  const change = useChange();
  const rows = useQuery(Message, newest, room.id);
  const [total] = useQuery(Message, "SELECT COUNT(*) WHERE room = ?", room.id);
  const members = useQuery(Membership, "room = ?", room.id);
  const mine = members.filter((m) => m.user === me);
  const people = new Set(members.map((m) => m.user)).size;
  const [editing, setEditing] = useState<string>();

  const messages = [...rows].reverse();
  const last = messages.at(-1);
  useSeen(mine, last?.sent);

  const list = useStickyScroll(messages.at(0)?.id);
  const earlier = Number(total?.["COUNT(*)"] ?? 0) - rows.length;

  const send = (text: string, again: (text: string) => void) => {
    // After what it answers, also where this machine's clock is behind.
    const sent = new Date(Math.max(Date.now(), last ? +last.sent + 1 : 0));
    change((tx) => tx.create(Message, { room: room.id, author: me, text, sent }), "Your message was not sent.", {
      label: "Edit it",
      run: () => again(text),
    });
  };

  return (
    <section className="room" aria-label={room.name}>
      <header>
        <a className="back" href="#" aria-label="All rooms">
          ‹
        </a>
        <div>
          <h2>{room.name}</h2>
          <p>
            {people} {people === 1 ? "member" : "members"}
            <span className="narrow">
              {" · "}
              <ConnectionBadge />
            </span>
          </p>
        </div>
        {mine.length > 0 && (
          <button className="quiet" onClick={() => change((tx) => mine.forEach((m) => tx.delete(Membership, m)), "You could not leave.")}>
            Leave
          </button>
        )}
      </header>
      <div className="messages" ref={list} tabIndex={0} role="log" aria-label="Messages">
        {earlier > 0 && (
          <button className="earlier" onClick={() => client.query(Message, newest, room.id).loadMore(page)}>
            Show earlier messages
          </button>
        )}
        {rows.error && <p className="error">{rows.error.message}</p>}
        {rows.status === "ready" && messages.length === 0 && <p className="hint">Nobody has said anything here yet.</p>}
        <ol>
          {messages.map((m, k) => (
            <MessageItem
              key={m.id}
              message={m}
              follows={follows(messages[k - 1], m)}
              day={sameDay(messages[k - 1]?.sent, m.sent) ? undefined : m.sent}
              own={m.author === me}
              editing={editing === m.id}
              setEditing={setEditing}
            />
          ))}
        </ol>
      </div>
      {mine.length > 0 || members.status === "pending" ? (
        <Composer
          key={room.id}
          room={room.id}
          name={room.name}
          send={send}
          editLast={() => setEditing(messages.findLast((m) => m.author === me)?.id)}
        />
      ) : (
        <div className="join">
          <button className="primary" onClick={() => change((tx) => tx.create(Membership, { room: room.id, user: me, seen: new Date(0) }), "You could not join.")}>
            Join {room.name}
          </button>
        </div>
      )}
    </section>
  );
}

const glance = 300; // ms after which a message that somebody looks at counts as read, if nothing else happens

/** Notes how far the user has read, while they look. */
function useSeen(mine: readonly Membership[], newest: Date | undefined) {
  const client = useClient();
  const behind = newest && mine.length > 0 && mine.every((m) => m.seen < newest) ? mine[0] : undefined;
  const noted = useRef<Date>(undefined);
  useEffect(() => {
    if (!behind || !newest) return;
    const note = () => {
      if (document.visibilityState !== "visible" || noted.current === newest) return;
      noted.current = newest; // once: where it is refused, it would be for ever
      client.edit(Membership, behind, { seen: newest }).catch(() => {});
    };
    const timer = setTimeout(note, glance);
    document.addEventListener("visibilitychange", note);
    return () => {
      clearTimeout(timer);
      note(); // who goes elsewhere has seen it
      document.removeEventListener("visibilitychange", note);
    };
  }, [client, behind, newest]);
}

/**
 * Keeps the newest message in sight, and what the user looks at where it is when there are more above. Who asks for
 * sizes right after a change has the page laid out then and there, so it is the observer that looks at the end: it is
 * called when that is done, before anybody sees it.
 */
function useStickyScroll(first: string | undefined) {
  const list = useRef<HTMLDivElement>(null);
  const before = useRef({ height: 0, first, atEnd: true });
  useLayoutEffect(() => {
    const box = list.current!;
    const { height, first: old, atEnd } = before.current;
    before.current.first = first;
    if (!atEnd && old !== first) box.scrollTop += box.scrollHeight - height;
  }, [first]);
  useEffect(() => {
    const box = list.current!;
    const moved = () => {
      before.current.atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    };
    const resized = new ResizeObserver(() => {
      if (before.current.atEnd) box.scrollTop = box.scrollHeight;
      before.current.height = box.scrollHeight;
    });
    resized.observe(box);
    resized.observe(box.lastElementChild!);
    box.addEventListener("scroll", moved, { passive: true });
    return () => {
      resized.disconnect();
      box.removeEventListener("scroll", moved);
    };
  }, []);
  return list;
}

const together = 5 * 60_000; // ms within which messages of somebody stand together

function follows(before: Message | undefined, m: Message): boolean {
  return !!before && before.author === m.author && +m.sent - +before.sent < together && sameDay(before.sent, m.sent);
}

function sameDay(a: Date | undefined, b: Date): boolean {
  return a?.toDateString() === b.toDateString();
}
