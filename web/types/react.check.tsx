// The same for the hooks.
import type { EntityId, Group, Rows } from "@ankurah/client";
import { useEntity, useQuery, useSuspenseQuery, useTransaction } from "@ankurah/react";
import { Album, Artist } from "../../internal/gen/testdata/golden/typescript/models.gen.js";

type Same<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false;
declare function same<A, B>(yes: Same<A, B>): void;

export function Page({ id, picked }: { id: string; picked: EntityId<"Album"> | null }) {
  const albums = useQuery(Album, "artist = ? ORDER BY year", id);
  same<typeof albums, Rows<Album>>(true);
  const named = useQuery("Album", "year > ?", 2000);
  same<typeof named, Rows<Album>>(true);
  const written = useQuery<Album>("Album", "live = true");
  same<typeof written, Rows<Album>>(true);
  const waited = useSuspenseQuery("album");
  same<typeof waited, Rows<Album>>(true);
  const counts = useQuery(Album, "SELECT COUNT(*) GROUP BY artist");
  same<typeof counts, Rows<Group>>(true);
  const album = useEntity(Album, picked);
  same<typeof album, Album | null | undefined>(true);
  const artist = useEntity(Artist, album?.artist);
  same<typeof artist, Artist | null | undefined>(true);
  useEntity("Artist", album?.artist);
  useEntity(Artist, id);
  // @ts-expect-error the ID of another model
  useEntity(Artist, picked);
  // @ts-expect-error by name too
  useEntity("Artist", picked);
  const { transact } = useTransaction();
  const click = () => transact((tx) => tx.create(Artist, { name: "x" }));
  // @ts-expect-error name is required
  const wrong = () => transact((tx) => tx.create(Artist, { label: null }));
  return (
    <ul onClick={click} onKeyDown={wrong}>
      {albums.map((a) => (
        <li key={a.id}>
          {a.name} {String(a.plays)}
        </li>
      ))}
    </ul>
  );
}
