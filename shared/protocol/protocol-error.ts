/** The other end sent bytes that the protocol does not allow. `message` never quotes them. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}
