// Tar archives that depend only on their entries: no times, owner root unless an entry has another, sorted by path.

const blockSize = 512;
const octal = (value, length) => `${value.toString(8).padStart(length - 1, '0')}\0`;
/** The bytes, not copied because they are large, and the padding of their last block. */
const padded = (bytes) => [bytes, Buffer.alloc((blockSize - (bytes.length % blockSize)) % blockSize)];

const typeFlags = { file: '0', link: '2', directory: '5', extended: 'x' };

/** POSIX.1-1988 (ustar), as tar(5) has it. */
const header = ({ path, kind, mode, size, target = '', owner = 0 }) => {
  for (const name of [path, target])
    if (Buffer.byteLength(name) > 100) throw new Error(`${name}: longer than the 100 bytes of a tar header`);
  const block = Buffer.alloc(blockSize);
  const put = (offset, text) => block.write(text, offset, 'latin1');
  block.write(path, 0, 'utf8');
  put(100, octal(mode, 8));
  put(108, octal(owner, 8));
  put(116, octal(owner, 8));
  put(124, octal(size, 12));
  put(136, octal(0, 12));
  put(148, ' '.repeat(8));
  put(156, typeFlags[kind]);
  block.write(target, 157, 'utf8');
  put(257, 'ustar\x0000');
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, `${octal(sum, 7)} `);
  return block;
};

/** A record of a pax header: its length, the key, and the value, which may be any bytes. */
const paxRecord = (key, value) => {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length;
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
};

const extendedHeader = (entry) => {
  if (entry.capabilities === undefined) return [];
  const record = paxRecord('SCHILY.xattr.security.capability', entry.capabilities);
  const path = `PaxHeaders/${entry.path.split('/').at(-1)}`;
  return [header({ path, kind: 'extended', mode: 0o644, size: record.length }), ...padded(record)];
};

/**
 * The archive of entries `{ path, kind: 'file' | 'directory' | 'link', mode, content?, target?, owner?, capabilities? }`:
 * `content` and `capabilities` (the extended attribute security.capability) are bytes, `owner` is a user and the group of its
 * number. Directories come before what is in them.
 */
export const tarOf = (entries) =>
  Buffer.concat([
    ...entries
      .toSorted((a, b) => (a.path < b.path ? -1 : 1))
      .flatMap((entry) => {
        const content = entry.content ?? Buffer.alloc(0);
        const path = entry.kind === 'directory' ? `${entry.path}/` : entry.path;
        return [
          ...extendedHeader(entry),
          header({ ...entry, path, size: content.length }),
          ...(content.length > 0 ? padded(content) : []),
        ];
      }),
    Buffer.alloc(2 * blockSize),
  ]);
