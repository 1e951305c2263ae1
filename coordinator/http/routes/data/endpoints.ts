/** The whole data API, and what a client does to its own account: one line an endpoint. */
import type { Endpoint } from '../../endpoint.ts';
import { exportOwnAudit, listOwnAudit, showAuditKey } from '../account/audit.ts';
import { listOwnInvoices, showOwnInvoice, showStatement } from '../account/billing.ts';
import { putOwnBudget, removeOwnBudget, showOwnBudget } from '../account/budget.ts';
import { showOwnCensus } from '../account/census.ts';
import {
  createOwnKey,
  listOwnKeys,
  revokeOwnKey,
  rotateOwnKey,
  showOwnKey,
} from '../account/keys.ts';
import { showLimits } from '../account/limits.ts';
import { showMe } from '../account/me.ts';
import { setOwnRecipients, showOwnRecipients, testOwnMail } from '../account/notifications.ts';
import { showUsage } from '../account/usage.ts';
import {
  createOwnWebhook,
  listOwnDeliveries,
  listOwnWebhooks,
  removeOwnWebhook,
  replayOwnDeliveries,
  rotateOwnWebhook,
  showOwnWebhook,
  testOwnWebhook,
  updateOwnWebhook,
} from '../account/webhooks.ts';
import { batchUpdate } from './batch-update.ts';
import { clearPayload } from './clear-payload.ts';
import { collectionExists } from './collection-exists.ts';
import { countPoints } from './count-points.ts';
import { createCollection } from './create-collection.ts';
import { createIndex } from './create-index.ts';
import { deleteCollection } from './delete-collection.ts';
import { deleteIndex } from './delete-index.ts';
import { deletePayload } from './delete-payload.ts';
import { deletePoints } from './delete-points.ts';
import { deleteVectors } from './delete-vectors.ts';
import { getCluster } from './get-cluster.ts';
import { getCollection } from './get-collection.ts';
import { getCollectionCluster } from './get-collection-cluster.ts';
import { getPoint } from './get-point.ts';
import { listAliases } from './list-aliases.ts';
import { listCollectionAliases } from './list-collection-aliases.ts';
import { listCollections } from './list-collections.ts';
import { overwritePayload } from './overwrite-payload.ts';
import { queryBatch } from './query-batch.ts';
import { queryPoints } from './query-points.ts';
import { retrievePoints } from './retrieve-points.ts';
import { scrollPoints } from './scroll-points.ts';
import { searchBatch } from './search-batch.ts';
import { searchPoints } from './search-points.ts';
import { setPayload } from './set-payload.ts';
import { updateCollection } from './update-collection.ts';
import { updateVectors } from './update-vectors.ts';
import { upsertPoints } from './upsert-points.ts';

export const DATA_ENDPOINTS: readonly Endpoint[] = [
  listCollections,
  createCollection,
  getCollection,
  updateCollection,
  deleteCollection,
  collectionExists,
  getCollectionCluster,
  getCluster,
  listAliases,
  listCollectionAliases,
  createIndex,
  deleteIndex,
  upsertPoints,
  retrievePoints,
  getPoint,
  queryPoints,
  queryBatch,
  searchPoints,
  searchBatch,
  scrollPoints,
  countPoints,
  deletePoints,
  setPayload,
  overwritePayload,
  deletePayload,
  clearPayload,
  updateVectors,
  deleteVectors,
  batchUpdate,
  showMe,
  showLimits,
  showUsage,
  showStatement,
  listOwnInvoices,
  showOwnInvoice,
  showOwnBudget,
  putOwnBudget,
  removeOwnBudget,
  showOwnCensus,
  listOwnAudit,
  exportOwnAudit,
  showAuditKey,
  listOwnKeys,
  createOwnKey,
  showOwnKey,
  rotateOwnKey,
  revokeOwnKey,
  showOwnRecipients,
  setOwnRecipients,
  testOwnMail,
  listOwnWebhooks,
  createOwnWebhook,
  showOwnWebhook,
  updateOwnWebhook,
  removeOwnWebhook,
  rotateOwnWebhook,
  testOwnWebhook,
  listOwnDeliveries,
  replayOwnDeliveries,
];
