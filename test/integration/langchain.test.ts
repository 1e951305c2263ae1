/** LangChain's Qdrant vector store, as its users call it, against the real processes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Document } from '@langchain/core/documents';
import { Embeddings } from '@langchain/core/embeddings';
import { QdrantVectorStore } from '@langchain/qdrant';
import { startService } from '../harness/service.ts';

const DIMENSION = 64;

/** Texts that share words are near: each word adds to one dimension. No model, no network. */
class WordEmbeddings extends Embeddings {
  constructor() {
    super({});
  }

  async embedQuery(text: string): Promise<number[]> {
    const vector = new Array<number>(DIMENSION).fill(0.01);
    for (const word of text.toLowerCase().match(/[a-z]+/g) ?? []) {
      let hash = 7;
      for (const char of word) hash = (hash * 31 + char.charCodeAt(0)) % 1_000_003;
      vector[hash % DIMENSION] = (vector[hash % DIMENSION] ?? 0) + 1;
    }
    return vector;
  }

  embedDocuments(texts: string[]): Promise<number[][]> {
    return Promise.all(texts.map((text) => this.embedQuery(text)));
  }
}

const TEXTS = [
  { pageContent: 'The cat sleeps on the warm stove', metadata: { topic: 'cats', year: 2020 } },
  { pageContent: 'A dog barks at the gate', metadata: { topic: 'dogs', year: 2021 } },
  { pageContent: 'Cats and dogs do not share a stove', metadata: { topic: 'cats', year: 2022 } },
  { pageContent: 'Ships have bulkheads against floods', metadata: { topic: 'ships', year: 2023 } },
];

test('documents are added, found, filtered and deleted through LangChain', async (t) => {
  const service = await startService(t);
  const store = await QdrantVectorStore.fromDocuments(
    TEXTS.map((text) => new Document(text)),
    new WordEmbeddings(),
    { url: service.url, apiKey: service.key, collectionName: 'stories' },
  );
  const [best] = await store.similaritySearchWithScore('ships bulkheads floods', 2);
  assert.equal(best?.[0].pageContent, TEXTS[3]?.pageContent);
  assert.deepEqual(best?.[0].metadata, TEXTS[3]?.metadata);
  assert.ok(Number(best?.[1]) > 0.5);

  const cats = { must: [{ key: 'metadata.topic', match: { value: 'cats' } }] };
  const filtered = await store.similaritySearch('stove', 10, cats);
  assert.deepEqual(filtered.map(({ metadata }) => metadata.year).toSorted(), [2020, 2022]);
  const various = await store.maxMarginalRelevanceSearch('cat stove', { k: 2, fetchK: 4 });
  assert.equal(various.length, 2);
  const retriever = store.asRetriever({ k: 1 });
  const [dog] = await retriever.invoke('dog gate barks');
  assert.equal(dog?.pageContent, TEXTS[1]?.pageContent);

  await store.delete({ ids: [String(dog?.id)] });
  const rest = await store.similaritySearch('dog gate barks', 10);
  assert.equal(rest.length, 3);
  await store.delete({ filter: cats });
  assert.equal((await store.similaritySearch('stove', 10)).length, 1);
});

test('an existing collection is opened, and foreign keys do not see it', async (t) => {
  const service = await startService(t);
  const config = { url: service.url, apiKey: service.key, collectionName: 'kept' };
  const embeddings = new WordEmbeddings();
  const first = await QdrantVectorStore.fromExistingCollection(embeddings, config);
  await first.addDocuments([new Document({ pageContent: 'one story', metadata: {} })], {
    ids: ['5c56c793-69f3-4fbf-87e6-c4bf54c28c26'],
  });
  const second = await QdrantVectorStore.fromExistingCollection(embeddings, config);
  const [found] = await second.similaritySearch('story', 1);
  assert.equal(found?.id, '5c56c793-69f3-4fbf-87e6-c4bf54c28c26');
  const other = service.key.endsWith('0') ? '1' : '0';
  const stranger = { ...config, apiKey: `${service.key.slice(0, -1)}${other}` };
  await assert.rejects(QdrantVectorStore.fromExistingCollection(embeddings, stranger));
});
