/** Holds replies of the admin API against the OpenAPI document that it serves. */
import assert from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';

interface Operation {
  operationId: string;
  responses: Record<string, { content: Record<string, { schema: object }> }>;
}

export interface OpenApi {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
}

export class Contract {
  readonly document: OpenApi;
  /** Operations whose good answer was seen. */
  readonly seen = new Set<string>();
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false });
  readonly #paths: { pattern: RegExp; path: string }[];

  constructor(document: OpenApi) {
    this.document = document;
    this.#ajv.addSchema({ $id: 'openapi', ...document });
    this.#paths = Object.keys(document.paths).map((path) => {
      return { path, pattern: new RegExp(`^${path.replace(/\{[a-z_]+\}/g, '[^/]+')}$`) };
    });
  }

  /** Paths that the document does not have are not its matter. */
  check(method: string, url: string, status: number, reply: unknown): void {
    const [plain = ''] = url.split('?', 1);
    const found = this.#paths.find(({ pattern }) => pattern.test(plain));
    const operation = found && this.document.paths[found.path]?.[method.toLowerCase()];
    if (found === undefined || operation === undefined) return;
    const isDone = status < 300;
    const content = operation.responses[isDone ? status : 'default']?.content;
    assert.ok(content, `${operation.operationId} answers ${status}`);
    const type = isDone ? 'application/json' : 'application/problem+json';
    const steps = [found.path, method.toLowerCase(), 'responses', isDone ? status : 'default'];
    const pointer = ['paths', ...steps, 'content', type, 'schema'].map(escaped).join('/');
    const validate = this.#ajv.compile({ $ref: `openapi#/${pointer}` });
    const problem = `${operation.operationId}: ${this.#ajv.errorsText(validate.errors)}`;
    assert.ok(validate(reply), `${problem} in ${JSON.stringify(reply)}`);
    if (isDone) this.seen.add(operation.operationId);
  }
}

function escaped(step: string | number): string {
  return encodeURIComponent(String(step).replaceAll('~', '~0').replaceAll('/', '~1'));
}
