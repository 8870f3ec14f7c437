/** Rpc over gRPC. */
import type { Rpc } from '@pgtroupe/actor/rpc';
import { Traffic } from '@pgtroupe/actor/traffic';
import { openStream } from './client.ts';
import type { Identity } from './options.ts';
import { serve } from './server.ts';

export function grpcRpc(identity: Identity, traffic = new Traffic()): Rpc {
  return {
    serve: (endpoint, handlers) => serve(identity, traffic, endpoint, handlers),
    open: (endpoint, method) => openStream(identity, traffic, endpoint, method),
  };
}
