import { useEntity } from "@ankurah/react";
import type { CSSProperties } from "react";
import { User } from "./models.gen";

/** A name; the page follows the names of those that it shows. */
export function useName(id: string): string {
  const user = useEntity(User, id);
  return user === undefined ? "…" : (user?.name ?? "somebody");
}

export function Avatar({ id, name }: { id: string; name: string }) {
  const hue = [...id].reduce((h, c) => (h * 31 + c.charCodeAt(0)) % 360, 0);
  return (
    <span className="avatar" aria-hidden="true" style={{ "--hue": hue } as CSSProperties}>
      {[...name][0]?.toUpperCase()}
    </span>
  );
}
