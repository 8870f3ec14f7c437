/**
 * From a service definition generated out of proto/ to the StreamMethod an actor uses:
 * `streamMethod(PostmasterDefinition, 'attend')`.
 */
import type { Codec, StreamMethod } from '@pgtroupe/actor/rpc';

interface MessageType {
  encode(message: never): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

interface ServiceDefinition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

interface MethodDefinition {
  readonly name: string;
  readonly requestType: MessageType;
  readonly requestStream: boolean;
  readonly responseType: MessageType;
  readonly responseStream: boolean;
}

type Message<T> = T extends { decode(bytes: Uint8Array): infer M } ? M : never;

export function streamMethod<S extends ServiceDefinition, M extends keyof S['methods'] & string>(
  service: S,
  method: M,
): StreamMethod<Message<S['methods'][M]['requestType']>, Message<S['methods'][M]['responseType']>> {
  const definition = service.methods[method] as MethodDefinition;
  return {
    path: `/${service.fullName}/${definition.name}`,
    up: codec<Message<S['methods'][M]['requestType']>>(definition.requestType),
    down: codec<Message<S['methods'][M]['responseType']>>(definition.responseType),
  };
}

function codec<T>(type: MessageType): Codec<T> {
  return {
    encode: message => type.encode(message as never).finish(),
    decode: bytes => type.decode(bytes) as T,
  };
}
