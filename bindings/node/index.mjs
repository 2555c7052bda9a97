// flagver for Node.js. README.md says how it is used, index.d.ts what each call does.

export { openClient as open, lintDefinitions as lint, Client, Snapshot } from './lib/client.mjs';
export { Context, Double } from './lib/context.mjs';
export { Flag } from './lib/flag.mjs';
export { JsonText, Transaction } from './lib/transaction.mjs';
export { Route } from './lib/route.mjs';
export { uuidV5, uuidV8 } from './lib/ids.mjs';
export { auditKeys, provesConsistency, provesInclusion, readCheckpoint, verifyExport } from './lib/audit.mjs';
export {
  BrokenError,
  FlagverError,
  LibraryError,
  MistakeError,
  RetryError,
  UnknownOutcomeError,
} from './lib/error.mjs';
export { file as libraryPath, version as libraryVersion } from './lib/library.mjs';
