/** What went wrong, with the code under which it crosses the wire. */
export class AnkurahError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message || code);
    this.name = new.target.name;
  }
}

/** The policy does not allow it. */
export class DeniedError extends AnkurahError {}
/** A rule on data does not hold. */
export class ConstraintError extends AnkurahError {}
/** Somebody else was faster. */
export class ConflictError extends AnkurahError {}
/** The entity is not there, or may not be read. */
export class NotFoundError extends AnkurahError {}
/** The query is malformed, or does not fit the collection. */
export class QueryError extends AnkurahError {}
/** A value does not fit its property. */
export class SchemaError extends AnkurahError {}
/** The credential is missing, wrong or expired. */
export class UnauthenticatedError extends AnkurahError {}
/** This page is too old or too new for the node: load it again. */
export class VersionError extends AnkurahError {}
/** There is no connection, or there will be none any more. */
export class ClosedError extends AnkurahError {}

const classes: Record<string, typeof AnkurahError> = {
  denied: DeniedError,
  constraint: ConstraintError,
  conflict: ConflictError,
  depends: ConflictError,
  not_found: NotFoundError,
  query: QueryError,
  schema: SchemaError,
  malformed: SchemaError,
  reserved: SchemaError,
  too_large: SchemaError,
  unauthenticated: UnauthenticatedError,
  version: VersionError,
  update: VersionError,
  closing: ClosedError,
};

export function errorOf(code: string, text: string): AnkurahError {
  return new (classes[code] ?? AnkurahError)(code, text);
}
