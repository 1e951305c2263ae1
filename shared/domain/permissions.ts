/**
 * What a key may do, by its role: the one table. Whoever adds an endpoint says which of these it
 * needs, and a test asks every endpoint with every role.
 */

export const ROLES = ['admin', 'writer', 'reader', 'analyst', 'monitor'] as const;
export type Role = (typeof ROLES)[number];

/** Of a key whose maker names none. */
export const ROLE_DEFAULT: Role = 'admin';

export const PERMISSIONS = {
  'collections:manage': {
    roles: ['admin'],
    help: 'create, change and delete collections and payload indexes',
  },
  'collections:read': {
    roles: ['admin', 'writer', 'reader', 'analyst'],
    help: 'list collections, show their configuration and counts',
  },
  'points:write': {
    roles: ['admin', 'writer'],
    help: 'upsert and delete points, change payloads and vectors',
  },
  'points:read': {
    roles: ['admin', 'writer', 'reader'],
    help: 'read points out: by id, page by page, or all that match a filter',
  },
  'points:search': {
    roles: ['admin', 'writer', 'reader', 'analyst'],
    help: 'search and count',
  },
  'usage:read': {
    roles: ['admin', 'writer', 'reader', 'analyst', 'monitor'],
    help: 'show its own client and key, limits and what of them is used',
  },
  'audit:read': { roles: ['admin'], help: 'read and export its own audit log' },
  'notices:manage': {
    roles: ['admin'],
    help: 'say who is told what: mail recipients and webhooks of the client',
  },
  'billing:read': { roles: ['admin'], help: 'show its own statements, invoices and budget' },
  'billing:manage': { roles: ['admin'], help: 'set and remove its own budget' },
  'keys:manage': { roles: ['admin'], help: 'list, create, rotate and revoke keys' },
} as const satisfies Record<string, { roles: readonly Role[]; help: string }>;

export type Permission = keyof typeof PERMISSIONS;

export function mayDo(role: Role, permission: Permission): boolean {
  return (PERMISSIONS[permission].roles as readonly Role[]).includes(role);
}

/** Whether a role may do less than another: nothing that the other may not, and not all of it. */
export function isLesser(role: Role, than: Role): boolean {
  const names = Object.keys(PERMISSIONS) as Permission[];
  const within = names.every((name) => !mayDo(role, name) || mayDo(than, name));
  return within && names.some((name) => mayDo(than, name) && !mayDo(role, name));
}
