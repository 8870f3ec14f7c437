/**
 * Codes of the frontend/backend protocol, version 3.0 (PostgreSQL manual, chapter 55).
 * Everything on this wire is big-endian; nothing here may be used for disk formats.
 */
const code = (letter: string): number => letter.charCodeAt(0);

/** Client to server, after start-up. */
export const FRONTEND = {
  Bind: code('B'),
  Close: code('C'),
  CopyData: code('d'),
  CopyDone: code('c'),
  CopyFail: code('f'),
  Describe: code('D'),
  Execute: code('E'),
  Flush: code('H'),
  FunctionCall: code('F'),
  Parse: code('P'),
  Password: code('p'),
  Query: code('Q'),
  Sync: code('S'),
  Terminate: code('X'),
} as const;

/** Server to client. */
export const BACKEND = {
  Authentication: code('R'),
  BackendKeyData: code('K'),
  BindComplete: code('2'),
  CloseComplete: code('3'),
  CommandComplete: code('C'),
  CopyData: code('d'),
  CopyDone: code('c'),
  CopyInResponse: code('G'),
  CopyOutResponse: code('H'),
  DataRow: code('D'),
  EmptyQueryResponse: code('I'),
  ErrorResponse: code('E'),
  NegotiateProtocolVersion: code('v'),
  NoData: code('n'),
  NoticeResponse: code('N'),
  NotificationResponse: code('A'),
  ParameterDescription: code('t'),
  ParameterStatus: code('S'),
  ParseComplete: code('1'),
  PortalSuspended: code('s'),
  ReadyForQuery: code('Z'),
  RowDescription: code('T'),
} as const;

/** First word of a start-up packet. */
export const PROTOCOL_3_0 = 0x00030000;
export const CANCEL_REQUEST_CODE = 80877102;
export const SSL_REQUEST_CODE = 80877103;
export const GSSENC_REQUEST_CODE = 80877104;

/** PostgreSQL's MAX_STARTUP_PACKET_LENGTH, length word included. */
export const MAX_STARTUP_PACKET_BYTES = 10000;
/** Longest message a client may send: PostgreSQL's MaxAllocSize. */
export const MAX_MESSAGE_BYTES = 0x3fffffff;
/** Messages without bulk data must stay below this (PQ_SMALL_MESSAGE_LIMIT). */
export const SMALL_MESSAGE_BYTES = 10000;

/** State shown by ReadyForQuery. */
export type TransactionIndicator = 'I' | 'T' | 'E';
