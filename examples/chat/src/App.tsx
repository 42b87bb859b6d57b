import { useEntity } from "@ankurah/react";
import { useEffect, useSyncExternalStore } from "react";
import { ConnectionBadge, HostBanner } from "./Connection";
import { RoomView } from "./RoomView";
import { Rooms } from "./Rooms";
import { Avatar } from "./Person";
import { Room } from "./models.gen";
import { signOut } from "./session";
import type { User } from "./session";

/** The room that the address names. */
export function useRoute(): string {
  return useSyncExternalStore(
    (changed) => {
      addEventListener("hashchange", changed);
      return () => removeEventListener("hashchange", changed);
    },
    () => location.hash.slice(1),
  );
}

export function App({ user }: { user: User }) {
  const id = useRoute();
  const room = useEntity(Room, id || null);
  useEffect(() => {
    document.title = room ? `${room.name} · Chat` : "Chat";
  }, [room]);

  return (
    <main className={id ? "app in-room" : "app"}>
      <h1 className="hidden">Chat</h1>
      <div className="sidebar">
        <header>
          <Avatar id={user.id} name={user.name} />
          <div className="who">
            <strong>{user.name}</strong>
            <ConnectionBadge />
          </div>
          <button className="quiet" onClick={signOut}>
            Sign out
          </button>
        </header>
        <Rooms me={user.id} open={id} />
      </div>
      <div className="content">
        <HostBanner />
        {room ? (
          <RoomView key={room.id} room={room} me={user.id} />
        ) : (
          <div className="empty">{id && room === null ? <p>This room is not there.</p> : <p>Choose a room.</p>}</div>
        )}
      </div>
    </main>
  );
}
