/**
 * `POST /collections/{collection}/points/batch`: several changes in order. All are checked before
 * the first is made; each one is made whole.
 */
import Type, { type Static } from 'typebox';
import { InvalidInput } from '../../../../shared/base/invalid.ts';
import { LIMITS } from '../../../../shared/domain/limits.ts';
import {
  clearPayloadWrite,
  deletePayloadWrite,
  deleteWrite,
  overwritePayloadWrite,
  type ParseWrite,
  refuseDeleteVectors,
  setPayloadWrite,
  updateVectorsWrite,
  upsertWrite,
} from '../../../data-plane/writes.ts';
import { endpoint } from '../../endpoint.ts';
import {
  DeletePayload,
  DeleteVectors,
  SelectPoints,
  SetPayload,
  UpdateVectors,
  Upsert,
} from '../../request-schemas.ts';
import { closedObject } from '../../validation.ts';
import { writeUpdatedList } from '../../write-updated.ts';

const Operation = closedObject({
  upsert: Type.Optional(Upsert),
  delete: Type.Optional(SelectPoints),
  set_payload: Type.Optional(SetPayload),
  overwrite_payload: Type.Optional(SetPayload),
  delete_payload: Type.Optional(DeletePayload),
  clear_payload: Type.Optional(SelectPoints),
  update_vectors: Type.Optional(UpdateVectors),
  delete_vectors: Type.Optional(DeleteVectors),
});

export const batchUpdate = endpoint({
  method: 'POST',
  url: '/collections/:collection/points/batch',
  kind: 'write',
  needs: 'points:write',
  body: closedObject({
    operations: Type.Array(Operation, { maxItems: LIMITS.batchQueriesMax }),
  }),
  async run({ writes }, call) {
    const parses = call.body.operations.map((operation, i) => parseOf(operation, i));
    writeUpdatedList(call.out, await writes.runAll(call, parses));
  },
});

function parseOf(operation: Static<typeof Operation>, index: number): ParseWrite {
  const path = `operations[${index}]`;
  const [name, ...others] = Object.keys(operation);
  if (name === undefined || others.length > 0) {
    throw new InvalidInput(path, 'an operation is an object with one field, such as "upsert"');
  }
  const at = `${path}.${name}`;
  if (operation.upsert) return upsertWrite(operation.upsert, at);
  if (operation.delete) return deleteWrite(operation.delete, at);
  if (operation.set_payload) return setPayloadWrite(operation.set_payload, at);
  if (operation.overwrite_payload) return overwritePayloadWrite(operation.overwrite_payload, at);
  if (operation.delete_payload) return deletePayloadWrite(operation.delete_payload, at);
  if (operation.clear_payload) return clearPayloadWrite(operation.clear_payload, at);
  if (operation.update_vectors) return updateVectorsWrite(operation.update_vectors, at);
  return refuseDeleteVectors(at);
}
