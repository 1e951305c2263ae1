/**
 * The admin API as an OpenAPI 3.1 document, made from the table of its endpoints. Their schemas are
 * JSON Schema already; those that have a name become components.
 */
import type { TSchema } from 'typebox';
import type { AdminEndpoint } from './admin-endpoint.ts';
import { ADMIN_SCHEMAS, Problem } from './admin-schemas.ts';

interface ObjectSchema {
  properties: Record<string, TSchema>;
  required?: string[];
}

const CREATED = 201;
const IDEMPOTENCY_KEY = header('Idempotency-Key', 'a repetition gets the answer of the first');
const IF_NONE_MATCH = header('If-None-Match', '*: it must not be there');
const IF_MATCH = header('If-Match', 'the ETag that it must still have');

export function openApiDocument(endpoints: readonly AdminEndpoint[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.url.replace(/:([a-z_]+)/g, '{$1}');
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operationOf(endpoint) };
  }
  const schemas = Object.fromEntries(
    Object.entries(ADMIN_SCHEMAS).map(([name, schema]) => [name, withoutReference(schema)]),
  );
  const info = { title: 'Bulkhead admin API', version };
  const securitySchemes = { adminToken: { type: 'http', scheme: 'bearer' } };
  const components = { schemas, securitySchemes };
  return { openapi: '3.1.0', info, security: [{ adminToken: [] }], paths, components };
}

function operationOf(endpoint: AdminEndpoint): object {
  const { name, help, status, schema, reply } = endpoint;
  const { params, querystring, body } = schema;
  const parameters = [
    ...parametersOf(params as unknown as ObjectSchema, 'path'),
    ...parametersOf(querystring as unknown as ObjectSchema, 'query'),
    ...(endpoint.creates ? [IDEMPOTENCY_KEY] : []),
    ...(isVersioned(endpoint) ? [IF_MATCH] : []),
    ...(endpoint.method === 'PUT' ? [IF_NONE_MATCH] : []),
  ];
  return {
    operationId: name,
    summary: help,
    parameters,
    ...(body && { requestBody: { required: true, content: jsonOf(body) } }),
    responses: {
      [status]: { description: 'done', content: jsonOf(reply) },
      default: {
        description: 'refused or failed',
        content: { 'application/problem+json': { schema: referenced(Problem) } },
      },
    },
  };
}

/** Whether it changes one thing that has a version. */
function isVersioned({ method, url, status, reply }: AdminEndpoint): boolean {
  const isNew = status === CREATED;
  const { properties } = reply as unknown as ObjectSchema;
  return !isNew && method !== 'GET' && url.includes(':') && 'version' in properties;
}

function header(name: string, description: string): object {
  return { name, in: 'header', required: false, description, schema: { type: 'string' } };
}

function parametersOf({ properties, required = [] }: ObjectSchema, place: string): object[] {
  return Object.entries(properties).map(([name, schema]) => {
    return { name, in: place, required: required.includes(name), schema: referenced(schema) };
  });
}

function jsonOf(schema: TSchema): object {
  return { 'application/json': { schema: referenced(schema) } };
}

/** Where a schema has a name, the name. */
function referenced(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null) return schema;
  const known = Object.entries(ADMIN_SCHEMAS).find(([, named]) => named === schema);
  return known === undefined ? withoutReference(schema) : refTo(known[0]);
}

function withoutReference(schema: object): unknown {
  if (Array.isArray(schema)) return schema.map(referenced);
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key === 'form' ? 'description' : key,
      referenced(value),
    ]),
  );
}

function refTo(name: string): object {
  return { $ref: `#/components/schemas/${name}` };
}
