/** Kinds of requests, as usage tells them apart; which one follows from what a request needs. */
import type { Permission } from '../../shared/domain/permissions.ts';

export const ROUTE_CLASSES = ['query', 'read', 'write', 'collections', 'account', 'none'] as const;
export type RouteClass = (typeof ROUTE_CLASSES)[number];

const CLASS_OF: Readonly<Record<Permission, RouteClass>> = {
  'points:search': 'query',
  'points:read': 'read',
  'points:write': 'write',
  'collections:manage': 'collections',
  'collections:read': 'collections',
  'usage:read': 'account',
  'audit:read': 'account',
  'billing:read': 'account',
  'billing:manage': 'account',
  'keys:manage': 'account',
  'notices:manage': 'account',
};

/** `none` of a path that is none of ours. */
export function routeClassOf(needs: Permission | undefined): RouteClass {
  return needs === undefined ? 'none' : CLASS_OF[needs];
}
