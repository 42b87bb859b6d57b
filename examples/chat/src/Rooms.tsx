import type { EntityId } from "@ankurah/client";
import { useQuery } from "@ankurah/react";
import { useMemo, useState } from "react";
import type { FormEvent } from "react";
import { Membership, Message, Room } from "./models.gen";
import { useChange } from "./notices";

/** The rooms that the user is in, with what is unread, and those that they could join. */
export function Rooms({ me, open }: { me: EntityId<"User">; open: string }) {
  const rooms = useQuery(Room, "ORDER BY name");
  const mine = useQuery(Membership, "user = ?", me);
  const change = useChange();

  // Somebody who joined on two devices at once is in a room twice.
  const seen = useMemo(() => {
    const seen = new Map<string, Date>();
    for (const m of mine) if (!(seen.get(m.room)! >= m.seen)) seen.set(m.room, m.seen);
    return seen;
  }, [mine]);
  const joined = rooms.filter((r) => seen.has(r.id));
  const others = rooms.filter((r) => !seen.has(r.id));

  return (
    <nav className="rooms" aria-label="Rooms">
      <h2>Rooms</h2>
      {rooms.error && <p className="error">{rooms.error.message}</p>}
      <ul>
        {joined.map((room) => (
          <li key={room.id}>
            <a href={`#${room.id}`} aria-current={room.id === open ? "page" : undefined}>
              <span className="hash" aria-hidden="true">
                #
              </span>
              <span className="name">
                {room.name}
                <Latest room={room.id} />
              </span>
              <Unread room={room.id} me={me} seen={seen.get(room.id)!} />
            </a>
          </li>
        ))}
      </ul>
      {rooms.status !== "pending" && mine.status !== "pending" && joined.length === 0 && <p className="hint">You are in no room yet.</p>}
      {others.length > 0 && (
        <>
          <h2>More rooms</h2>
          <ul>
            {others.map((room) => (
              <li key={room.id}>
                <a href={`#${room.id}`} aria-current={room.id === open ? "page" : undefined}>
                  <span className="hash" aria-hidden="true">
                    #
                  </span>
                  <span className="name">{room.name}</span>
                </a>
                <button
                  className="quiet"
                  aria-label={`Join ${room.name}`}
                  onClick={() => {
                    change((tx) => tx.create(Membership, { room: room.id, user: me, seen: new Date(0) }), `You could not join ${room.name}.`);
                    location.hash = room.id;
                  }}
                >
                  Join
                </button>
              </li>
            ))}
          </ul>
        </>
      )}
      <NewRoom me={me} />
    </nav>
  );
}

/** The beginning of the newest message. */
function Latest({ room }: { room: string }) {
  const [message] = useQuery(Message, "room = ? ORDER BY sent DESC LIMIT 1", room);
  return message ? <span className="latest">{message.text}</span> : null;
}

/** How many messages of others came since the user was there: a live count. */
function Unread({ room, me, seen }: { room: string; me: string; seen: Date }) {
  const [count] = useQuery(Message, "SELECT COUNT(*) WHERE room = ? AND sent > ? AND author != ?", room, seen, me);
  const n = Number(count?.["COUNT(*)"] ?? 0);
  if (n === 0) return null;
  return (
    <span className="unread">
      {n > 99 ? "99+" : n}
      <span className="hidden"> unread</span>
    </span>
  );
}

function NewRoom({ me }: { me: EntityId<"User"> }) {
  const [name, setName] = useState("");
  const change = useChange();

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const wanted = name.trim();
    if (!wanted) return;
    const created = new Date();
    change(
      (tx) => {
        const room = tx.create(Room, { name: wanted, creator: me, created });
        tx.create(Membership, { room, user: me, seen: created });
      },
      `The room ${wanted} was not made.`,
      { label: "Change the name", run: () => setName(wanted) },
    );
    setName("");
  };

  return (
    <form className="new-room" onSubmit={submit}>
      <input aria-label="Name of a new room" placeholder="New room" value={name} onChange={(e) => setName(e.target.value)} />
      <button disabled={!name.trim()}>Create</button>
    </form>
  );
}
