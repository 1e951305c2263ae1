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
  const servers = [{ url: '/' }];
  const security = [{ adminToken: [] }];
  return { openapi: '3.1.0', info, servers, security, paths, components };
}

function operationOf(endpoint: AdminEndpoint): object {
  const { name, help, status, schema } = endpoint;
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
    ...(body && { requestBody: bodyOf(body, endpoint.bodyDescription) }),
    responses: {
      [status]: { description: 'done', headers: headersOf(endpoint), content: contentOf(endpoint) },
      default: {
        description: 'refused or failed',
        headers: REQUEST_ID,
        content: { 'application/problem+json': { schema: referenced(Problem) } },
      },
    },
  };
}

function contentOf({ reply, fileType, csv }: AdminEndpoint): object {
  if (fileType !== undefined) return { [fileType]: { schema: referenced(reply) } };
  return { ...jsonOf(reply), ...(csv && { 'text/csv': { schema: { type: 'string' } } }) };
}

/** One that may be null may be left out. */
function bodyOf(body: TSchema, description = body): object {
  const isOptional = 'anyOf' in body;
  return { required: !isOptional, content: jsonOf(description) };
}

const TEXT = { schema: { type: 'string' } };
const REQUEST_ID = { 'x-request-id': TEXT };

function headersOf({ reply }: AdminEndpoint): object {
  return hasVersion(reply) ? { ...REQUEST_ID, ETag: TEXT } : REQUEST_ID;
}

/** A file has no fields. */
function hasVersion(reply: TSchema): boolean {
  const { properties = {} } = reply as Partial<ObjectSchema>;
  return 'version' in properties;
}

/** Whether it changes one thing that has a version. */
function isVersioned({ method, url, status, reply }: AdminEndpoint): boolean {
  const isNew = status === CREATED;
  return !isNew && method !== 'GET' && url.includes(':') && hasVersion(reply);
}

function header(name: string, description: string): object {
  return { name, in: 'header', required: false, description, schema: { type: 'string' } };
}

function parametersOf({ properties, required = [] }: ObjectSchema, place: string): object[] {
  return Object.entries(properties).map(([name, schema]) => {
    const shown = isNumeral(schema) ? { type: 'integer', minimum: 0 } : referenced(schema);
    return { name, in: place, required: required.includes(name), schema: shown };
  });
}

/** Everything in a URL is text; one of digits only is a number to its sender. */
function isNumeral(schema: TSchema): boolean {
  return 'pattern' in schema && String(schema.pattern).startsWith('^[0-9]{1,');
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
