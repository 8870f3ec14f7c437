/** Rpc over gRPC. */
import type { Rpc } from '@pgtroupe/actor/rpc';
import { openStream } from './client.ts';
import type { Identity } from './options.ts';
import { serve } from './server.ts';

export function grpcRpc(identity: Identity): Rpc {
  return {
    serve: (endpoint, handlers) => serve(identity, endpoint, handlers),
    open: (endpoint, method) => openStream(identity, endpoint, method),
  };
}
