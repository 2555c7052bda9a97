import type {
  EvaluationContext,
  Hook,
  JsonValue,
  OpenFeatureEventEmitter,
  Provider,
  ResolutionDetails,
  TrackingEventDetails,
} from '@openfeature/server-sdk';
import type { Client, OpenOptions } from './index.js';

/** A provider for @openfeature/server-sdk. */
export class FlagverProvider implements Provider {
  /** Opens a client of its own. */
  constructor(uri: string, options?: OpenOptions);
  /** Asks a client, which stays its owner's. */
  constructor(client: Client);
  readonly runsOn: 'server';
  readonly metadata: { readonly name: 'flagver' };
  readonly hooks: Hook[];
  readonly events: OpenFeatureEventEmitter;
  /** null before initialize() and after onClose() */
  readonly client: Client | null;
  initialize(): Promise<void>;
  onClose(): Promise<void>;
  resolveBooleanEvaluation(key: string, fallback: boolean, context: EvaluationContext): Promise<ResolutionDetails<boolean>>;
  resolveStringEvaluation(key: string, fallback: string, context: EvaluationContext): Promise<ResolutionDetails<string>>;
  resolveNumberEvaluation(key: string, fallback: number, context: EvaluationContext): Promise<ResolutionDetails<number>>;
  resolveObjectEvaluation<T extends JsonValue>(key: string, fallback: T, context: EvaluationContext): Promise<ResolutionDetails<T>>;
  track(event: string, context?: EvaluationContext, details?: TrackingEventDetails): void;
}
