/**
 * Channel settings of every conversation. Streams live as long as their processes: nothing may age
 * or idle them out. Flow control is the conversation's own (credits), so HTTP/2's windows are
 * opened far beyond any credit and readers never pause.
 */
import type { ChannelOptions } from '@grpc/grpc-js';

const FLOW_CONTROL_WINDOW_BYTES = 64 * 1024 * 1024;

export const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.max_send_message_length': -1,
  'grpc.max_receive_message_length': -1,
  'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW_BYTES,
  'grpc-node.max_session_memory': Number.MAX_SAFE_INTEGER,
  'grpc.enable_channelz': 0,
};

export const CLIENT_OPTIONS: ChannelOptions = {
  ...CHANNEL_OPTIONS,
  // A retried stream would be a stream resumed; and retries keep a copy of what was sent.
  'grpc.enable_retries': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_http_proxy': 0,
};

/** Who is calling; sent as metadata with every stream and checked by the server. */
export interface Identity {
  /** System identifier: streams from another cluster are refused. */
  readonly cluster: string;
  /** `walwriter`, `backend-3`. */
  readonly name: string;
  /** Of this launch. A server that has seen a higher one of the same name refuses this one. */
  readonly epoch: number;
}

export const CLUSTER_KEY = 'pgtroupe-cluster';
export const NAME_KEY = 'pgtroupe-name';
export const EPOCH_KEY = 'pgtroupe-epoch';

/** Reuses the bytes when they already are a Buffer's; grpc-js insists on Buffers. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
