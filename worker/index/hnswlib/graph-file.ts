/**
 * Checks that a graph file is whole. hnswlib writes through a stream whose errors it does not look
 * at, so a disk that fills up leaves a shorter file and no message. Layout (little-endian, 64-bit):
 *
 *    0  offsetLevel0 u64 | maxElements u64 | elements u64 | elementBytes u64 | labelOffset u64
 *   40  dataOffset u64 | maxLevel i32 | entryPoint u32 | maxM u64 | maxM0 u64 | M u64 | mult f64
 *   88  efConstruct u64
 *   96  elements x elementBytes                          level 0: links, vector, label
 *       elements x { linkBytes u32, linkBytes bytes }    upper levels, mostly 0
 */
import { type FileHandle, open } from 'node:fs/promises';
import { AppError } from '../../../shared/errors/app-error.ts';

const HEADER_BYTES = 96;
const ELEMENTS_AT = 16;
const ELEMENT_BYTES_AT = 24;

/** Throws `AppError('insufficient_storage')` when the file is not a whole graph of `elements`. */
export async function checkGraphFile(file: string, elements: number): Promise<void> {
  const handle = await open(file, 'r');
  try {
    if (await isWhole(handle, elements)) return;
  } finally {
    await handle.close();
  }
  throw new AppError('insufficient_storage', undefined, { detail: 'the graph file is cut short' });
}

async function isWhole(handle: FileHandle, elements: number): Promise<boolean> {
  const { size } = await handle.stat();
  const header = Buffer.alloc(HEADER_BYTES);
  const { bytesRead } = await handle.read(header, 0, HEADER_BYTES, 0);
  if (bytesRead < HEADER_BYTES) return false;
  if (header.readBigUInt64LE(ELEMENTS_AT) !== BigInt(elements)) return false;
  const tailAt = HEADER_BYTES + elements * Number(header.readBigUInt64LE(ELEMENT_BYTES_AT));
  if (size < tailAt + elements * 4) return false;
  const tail = Buffer.alloc(size - tailAt);
  const read = await handle.read(tail, 0, tail.length, tailAt);
  if (read.bytesRead < tail.length) return false;
  let at = 0;
  for (let i = 0; i < elements; i += 1) {
    if (at + 4 > tail.length) return false;
    at += 4 + tail.readUInt32LE(at);
  }
  return at === tail.length;
}
