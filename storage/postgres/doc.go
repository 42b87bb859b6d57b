// Package postgres provides the storage engine over PostgreSQL, 15 or newer.
// Each collection is a table with a typed column for each property, which
// people can read with psql, and AnkQL becomes SQL.
//
//	engine, err := postgres.Open(ctx, "postgres://app@db.example.org/music?sslmode=verify-full", nil)
//
// The URL is what libpq takes; PGHOST, PGPASSWORD, ~/.pgpass and so on are
// obeyed too. Everything lives in one schema, the first of search_path, so
// several systems can share a database: "…/music?search_path=tenant_7". A pooler
// between must keep sessions (PgBouncer: session mode). Importing the package
// makes the schemes "postgres" and "postgresql" known to storage.Open.
//
// # Tables
//
// Collection album is table album, with
//
//	id        uuid         the entity, as 16 bytes; ankurah_id(id) is its text
//	_rev      bigint       number of events in its history
//	_deleted  boolean      deleted entities stay, as their history does
//	…                      one column for each property, see below
//	_odd      text[]       properties whose value is not in their column
//	_head     bytea        its tips: 16 bytes ID and 32 bytes digest each
//	_state    bytea        the state: entity.State.Append
//
// in this order for the properties that are known when the table is made; later
// ones come last.
//
// and table album_events with entity, rev, event (its ID), tx, made_at and body
// (event.Event.Append). View album_view has the entities that exist, IDs as
// text. The state is the truth, columns are for querying: a value that a column
// cannot hold exactly (another type than the column's, text with U+0000, a
// document with huge floating-point numbers) is null there and named in _odd,
// and queries read it from the state.
//
// A property's column has the type that its model declares, else the type of
// the first value: text, boolean, integer, bigint, double precision, bytea,
// timestamptz, uuid, jsonb, and arrays of these. Text is ordered by code point
// (COLLATE "C"). Columns appear as models are registered or values of new
// properties come; none is ever dropped. Names are cut to 63 bytes; where two
// would meet, or one is reserved, it ends in a hash of the whole name. The
// tables that begin with _ankurah say which is which: _ankurah_collections,
// _ankurah_columns, _ankurah_indexes. The others are _ankurah_txs, _claims,
// _meta, _format and _servers, which has a row for each process that writes
// here: it goes when the process closes, or when a start finds that the process
// has had no session for an hour.
//
// Tables may be read by anybody at any time, and must not be written.
//
// # Ordering and ownership
//
// Commits go over one connection, the writer. It holds an advisory lock of the
// session, so that one process at a time writes to a schema, and a connection
// that was replaced can write nothing more. A batch is one database transaction,
// sent in one piece: it assumes that the heads are what the batch says, and each
// statement fails if they are not. Then the batch is judged again with its rows
// locked, in the order of their IDs, and what conflicts is left out. The first
// statement counts the batches of this process; when a connection is lost before
// the answer came, the count says whether the batch was applied. The session that
// writes holds an advisory lock of the process as well, by which others see that
// it lives.
//
// Snapshots cost nothing while nothing is committed: their reads are single
// statements, each valid if no commit has begun when its first row is there. A
// commit pins the snapshots that are open: one transaction exports the
// database's snapshot, and reads import it, each in a short transaction of its
// own. So no table stays locked while a snapshot is open. When the connection
// of that transaction is lost, so are the snapshots: reads end with
// [storage.ErrInterrupted].
//
// Engine.mu serialises what writes; below it state.mu guards what snapshots and
// commits share. Neither is held while rows are handed to a caller.
package postgres
