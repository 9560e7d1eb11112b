import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

/** The least X.509 that TLS tests need, so that no key has to be kept among the fixtures. */

const der = (tag: number, ...contents: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(contents);
  const length =
    body.length < 128
      ? [body.length]
      : body.length < 256
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
};

const sequence = (...contents: readonly Buffer[]): Buffer => der(0x30, ...contents);
const set = (...contents: readonly Buffer[]): Buffer => der(0x31, ...contents);
const integer = (value: Buffer): Buffer => der(0x02, value);
const octets = (content: Buffer): Buffer => der(0x04, content);
const bits = (content: Buffer): Buffer => der(0x03, Buffer.from([0]), content);
const time = (date: Date): Buffer =>
  der(0x18, Buffer.from(`${date.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`));
const yes = der(0x01, Buffer.from([0xff]));

/** Object identifiers, DER-encoded: RFC 5280, RFC 5758. */
const oid = {
  commonName: der(0x06, Buffer.from([0x55, 0x04, 0x03])),
  ecdsaWithSha256: der(0x06, Buffer.from([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02])),
  basicConstraints: der(0x06, Buffer.from([0x55, 0x1d, 0x13])),
  subjectAltName: der(0x06, Buffer.from([0x55, 0x1d, 0x11])),
  subjectKeyIdentifier: der(0x06, Buffer.from([0x55, 0x1d, 0x0e])),
};

const name = (commonName: string): Buffer =>
  sequence(set(sequence(oid.commonName, der(0x0c, Buffer.from(commonName)))));

const pem = (certificate: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${certificate.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;

export interface Certificate {
  readonly commonName: string;
  readonly certificate: string;
  readonly key: string;
  readonly privateKey: KeyObject;
}

const issue = (commonName: string, extensions: readonly Buffer[], issuer?: Certificate): Certificate => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const keyIdentifier = sequence(
    oid.subjectKeyIdentifier,
    octets(octets(createHash('sha1').update(spki).digest())),
  );
  const algorithm = sequence(oid.ecdsaWithSha256);
  const now = Date.now();
  const day = 86_400_000;
  const toBeSigned = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    name(issuer?.commonName ?? commonName),
    sequence(time(new Date(now - day)), time(new Date(now + day))),
    name(commonName),
    spki,
    der(0xa3, sequence(keyIdentifier, ...extensions)),
  );
  const signature = sign('sha256', toBeSigned, issuer?.privateKey ?? privateKey);
  return {
    commonName,
    certificate: pem(sequence(toBeSigned, algorithm, bits(signature))),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    privateKey,
  };
};

/** A certificate authority of our own. */
export const createAuthority = (commonName: string): Certificate =>
  issue(commonName, [sequence(oid.basicConstraints, yes, octets(sequence(yes)))]);

/** A certificate that an authority signed, valid for a day, for 127.0.0.1 and the names given. */
export const createCertificate = (
  authority: Certificate,
  commonName: string,
  dnsNames: readonly string[] = [],
): Certificate => {
  const names = [
    der(0x87, Buffer.from([127, 0, 0, 1])),
    ...dnsNames.map((dnsName) => der(0x82, Buffer.from(dnsName))),
  ];
  return issue(commonName, [sequence(oid.subjectAltName, octets(sequence(...names)))], authority);
};
