/**
 * From a service definition generated out of proto/ to the StreamMethod an actor uses:
 * `streamMethod(PostmasterDefinition, 'attend')`.
 */
import type { Codec, StreamMethod } from '@pgtroupe/actor/rpc';

interface MessageType<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

interface ServiceDefinition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

interface MethodDefinition {
  readonly name: string;
  readonly requestType: MessageType<never>;
  readonly requestStream: boolean;
  readonly responseType: MessageType<never>;
  readonly responseStream: boolean;
}

type Message<T> = T extends { decode(bytes: Uint8Array): infer M } ? M : never;

export function streamMethod<S extends ServiceDefinition, M extends keyof S['methods'] & string>(
  service: S,
  method: M,
): StreamMethod<
  Message<S['methods'][M]['requestType']>,
  Message<S['methods'][M]['responseType']>
> {
  const definition = service.methods[method] as MethodDefinition;
  return {
    path: `/${service.fullName}/${definition.name}`,
    up: codec(definition.requestType) as Codec<never>,
    down: codec(definition.responseType) as Codec<never>,
  };
}

function codec<T>(type: MessageType<T>): Codec<T> {
  return {
    encode: message => type.encode(message).finish(),
    decode: bytes => type.decode(bytes),
  };
}
