// Errors: one class for what a caller can do about them, as the library sorts them.

/** What the library refused, or could not do. `code` is "EINVAL", "ENOTFOUND", … */
export class FlagverError extends Error {
  constructor(code, message, details = {}) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    this.native = details.native ?? 0;
    this.line = details.line ?? 0;
    this.column = details.column ?? 0;
    this.sqlstate = details.sqlstate ?? '';
  }
}

/** The arguments or the input are wrong: the same call fails again. */
export class MistakeError extends FlagverError {}
/** Nothing happened; the same call may succeed later. */
export class RetryError extends FlagverError {}
/** It is not known whether the change took place. */
export class UnknownOutcomeError extends FlagverError {}
/** The handle can only be closed. */
export class BrokenError extends FlagverError {}

/** The shared library was not found, or is not one that this package knows. */
export class LibraryError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = 'LibraryError';
    this.code = 'ELIBRARY';
  }
}

export const CLASSES = [FlagverError, MistakeError, RetryError, UnknownOutcomeError, BrokenError];

/** An error of this package's own, in the library's words. */
export function mistake(code, message) {
  return new MistakeError(code, message);
}

export function closed(what) {
  return new BrokenError('ECLOSED', `the ${what} is closed`);
}
