// Who uses this browser. The server's answer to a name is kept, so that the
// page opens without the server next time.
import type { EntityId } from "@ankurah/client";

export interface User {
  readonly id: EntityId<"User">;
  readonly name: string;
}

const key = "chat.user";

export function signedIn(): User | undefined {
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? "null") as User | null;
    return kept?.id && kept.name ? kept : undefined;
  } catch {
    return undefined; // it is not what signIn has kept
  }
}

/** Signs in: the user is who the server takes the name for. */
export async function signIn(name: string): Promise<User> {
  const answer = await fetch("/signin", { method: "POST", body: JSON.stringify({ name }) }).catch(() => undefined);
  if (!answer || answer.status >= 500) throw new Error("The server cannot be reached. It is needed to sign in, and not afterwards.");
  if (!answer.ok) throw new Error((await answer.text()).trim().replace(/^ankurah: /, ""));
  const user = (await answer.json()) as User;
  localStorage.setItem(key, JSON.stringify(user));
  return user;
}

/** Signs in once more if the server is there, which may have lost its data. */
export async function verify(user: User): Promise<void> {
  const now = await signIn(user.name).catch(() => user);
  if (now.id !== user.id) location.reload();
}

export function signOut(): void {
  localStorage.removeItem(key);
  location.assign(location.pathname + location.search);
}
