// What generated types let through and what they refuse. Nothing here runs:
// the type checker reads it.
import type { Client, Created, EntityId, Group, Int64, Json, Query, Ref, Row, Rows } from "@ankurah/client";
import { Album, Artist, Label } from "../../internal/gen/testdata/golden/typescript/models.gen.js";
import type { AlbumInput, AlbumPatch } from "../../internal/gen/testdata/golden/typescript/models.gen.js";

type Same<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false;
/** Stops compiling unless both types are the same. */
declare function same<A, B>(yes: Same<A, B>): void;

declare const client: Client;
declare const album: Album;
declare const artist: Artist;
declare const input: AlbumInput;

export function rows(): void {
  same<Album["id"], EntityId<"Album">>(true);
  same<Album["artist"], Ref<"Artist">>(true);
  same<Album["guests"], readonly Ref<"Artist">[]>(true);
  same<Album["year"], number>(true);
  same<Album["plays"], Int64>(true);
  same<Album["genre"], "rock" | "pop" | "hip hop">(true);
  same<Album["extra"], Json>(true);
  same<Album["cover"], Uint8Array>(true);
  same<Album["released"], Date>(true);
  same<Album["userIds"], readonly EntityId[]>(true);
  const mood: "sad" | "glad" | undefined = album.mood;
  const bought: Date | undefined = album.boughtAt;
  const first: string = album.tags[0] ?? String(mood) + String(bought);
  const half: number = Number(album.plays) / 2 + first.length;
  // @ts-expect-error it may be a bigint
  const twice: number = album.plays * 2;
  // @ts-expect-error an element may be missing
  const tag: string = album.tags[0];
  // @ts-expect-error rows are not changed
  album.year = half;
  // @ts-expect-error nor what is in them
  album.tags.push(tag);
  // @ts-expect-error there is no such property
  album.titel;
  // @ts-expect-error the key is not the name
  album.title;
  if (album.genre === "rock") return;
  // @ts-expect-error not of the enum
  if (album.genre === "jazz") return;
  void twice;
}

export function queries(): void {
  same<ReturnType<typeof byModel>, Query<Album>>(true);
  same<ReturnType<typeof byName>, Query<Album>>(true);
  same<ReturnType<typeof byCollection>, Query<Label>>(true);
  same<ReturnType<typeof named>, Query<Album>>(true);
  same<ReturnType<typeof groups>, Query<Group>>(true);
  same<ReturnType<typeof groupsByName>, Query<Group>>(true);
  same<ReturnType<typeof unknown>, Query<Row>>(true);
  same<ReturnType<typeof all>, Query<Album>>(true);
  same<ReturnType<typeof anyText>, Query<Album>>(true);
  same<ReturnType<typeof fetched>, Promise<Rows<Artist>>>(true);
  const plays: number = client.query(Album, "SELECT COUNT(*)").get().reduce((n, g) => n + Number(g["COUNT(*)"]), 0);
  client.query(Album, "artist = ? AND released > ? AND title = ?", album.artist, new Date(plays), "x");
  // @ts-expect-error functions are no parameters
  client.query(Album, "title = ?", () => {});
  // @ts-expect-error no model, no name
  client.query(3);
}
const byModel = () => client.query(Album, "year > ?", 3);
const byName = () => client.query("Album", "year > ?", 3);
const byCollection = () => client.query("record_label");
const named = () => client.query<Album>("Album", "year > 3");
const groups = () => client.query(Album, "SELECT COUNT(*), SUM(plays) GROUP BY artist");
const groupsByName = () => client.query("Album", "select count(*)");
const unknown = () => client.query("Unheard", "year > 3");
const all = () => client.query(Album);
const anyText = (text?: string) => client.query(Album, text);
const fetched = () => client.fetch(Artist, "name LIKE ?", "M%");

export async function lookups(text: string): Promise<void> {
  same<ReturnType<typeof entity>, Query<Artist>>(true);
  client.entity("Artist", album.artist);
  client.entity(Artist, text); // such as of an address
  client.entity(Label, artist.label ?? text);
  // @ts-expect-error the ID of another model
  client.entity(Album, album.artist);
  // @ts-expect-error by name too
  client.entity("Album", artist.id);
  // @ts-expect-error there may be none
  client.entity(Label, artist.label);
  // @ts-expect-error text is no ID
  const id: EntityId<"Album"> = text;
  // @ts-expect-error an ID of another model
  const ref: Ref<"Artist"> = album.id;
  const any: EntityId = album.id;
  void [id, ref, any];
}
const entity = () => client.entity(Artist, album.artist);

export async function creating(): Promise<void> {
  const id: EntityId<"Album"> = await client.create(Album, input);
  const named: EntityId<"Album"> = await client.create("Album", input);
  await client.create(Artist, { name: "Muse" });
  await client.create(Artist, { name: "Muse", label: null });
  await client.create("record_label", { name: "x" });
  await client.create("Unheard", { what: ["ever"] });
  // @ts-expect-error name is required
  await client.create(Artist, {});
  // @ts-expect-error by name too
  await client.create("Artist", {});
  // @ts-expect-error there is no such property
  await client.create(Artist, { name: "x", nmae: "y" });
  // @ts-expect-error what is left out is left out
  await client.create(Artist, { name: "x", label: undefined });
  // @ts-expect-error not of the enum
  await client.create(Album, { ...input, genre: "jazz" });
  // @ts-expect-error text is no reference
  await client.create(Album, { ...input, artist: "Muse" });
  // @ts-expect-error a reference to another model
  await client.create(Album, { ...input, artist: id });
  // @ts-expect-error a date is no text
  await client.create(Album, { ...input, released: "2001-07-17" });
  // @ts-expect-error bytes are no text
  await client.create(Album, { ...input, cover: "abc" });
  await client.create(Album, { ...input, plays: 2n ** 60n, extra: { a: [1, null, { b: "c" }] } });
  // @ts-expect-error JSON has no functions
  await client.create(Album, { ...input, extra: { a: () => {} } });
  void named;
}

export async function editing(): Promise<void> {
  const patch: AlbumPatch = { year: 2001, mood: null };
  await client.edit(Album, album.id, patch);
  await client.edit(Album, album, { year: 2001 });
  await client.edit("Album", album, { artist: artist.id });
  await client.delete(Album, album);
  await client.restore(Album, album.id);
  // @ts-expect-error null clears only what is optional
  await client.edit(Album, album, { year: null });
  // @ts-expect-error there is no such property
  await client.edit(Album, album, { label: "x" });
  // @ts-expect-error another model
  await client.edit(Album, artist, { year: 3 });
  // @ts-expect-error another model's ID
  await client.delete(Album, artist.id);
  // @ts-expect-error the ID is not changed
  await client.edit(Album, album, { id: album.id });
}

export async function transactions(): Promise<void> {
  const made = await client.transact((tx) => {
    const muse: Created<EntityId<"Artist">> = tx.create(Artist, { name: "Muse" });
    const made = tx.create(Album, { ...input, artist: muse });
    const m = tx.edit(Album, album);
    m.year = 2001;
    m.artist = muse;
    m.mood = null;
    m.tags = ["x"];
    // @ts-expect-error null clears only what is optional
    m.year = null;
    // @ts-expect-error there is no such property
    m.label = "x";
    // @ts-expect-error what was written last is not known
    const year: number = m.year + 1;
    // @ts-expect-error another model
    m.artist = made;
    tx.edit(Artist, muse, { name: "The Muse" }).name = "Muse";
    tx.edit("Artist", muse).name = "Muse";
    tx.delete(Album, made);
    // @ts-expect-error another model
    tx.delete(Album, muse);
    return { made, year };
  });
  const id: EntityId<"Album"> = made.made.id;
  void id;
}
