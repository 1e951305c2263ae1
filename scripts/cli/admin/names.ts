/**
 * Clients by name. Ids are what the API knows; people know names, which need not differ. So a name
 * stands for a client when exactly one has it.
 */
import { CommandError } from '../command-error.ts';
import type { AdminClient } from './admin-client.ts';

const CLIENT_ID = /^cl_[a-z2-7]{16}$/;

export async function clientIdOf(admin: AdminClient, text: string): Promise<string> {
  if (CLIENT_ID.test(text)) return text;
  const found = await admin.listClients({ name: text });
  const [client, ...others] = found;
  if (client === undefined) {
    throw new CommandError(`there is no client of the id or name ${text}`, { exit: 'notFound' });
  }
  if (others.length === 0) return client.client_id;
  const ids = found.map(({ client_id }) => client_id).join(', ');
  throw new CommandError(`${found.length} clients are called ${text}, say which: ${ids}`, {
    exit: 'usage',
  });
}
