// Software bills of materials: what is in a release (components.mjs), in the two common formats. No time and no random number is
// in them, so equal input gives equal bytes.

/** The commit's time stands for the time of the build. */
const isoTime = (epoch) => new Date(epoch * 1000).toISOString().replace(/\.\d+/, '');

/** A UUID (RFC 9562, version 8) that the content determines. */
const uuidOf = (hex) =>
  [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');

/** CycloneDX 1.5 (ECMA-424). `release` is `{ name, version, description, license, epoch, contentHash }`. */
export const cycloneDx = (release, components) => ({
  $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
  bomFormat: 'CycloneDX',
  specVersion: '1.5',
  serialNumber: `urn:uuid:${uuidOf(release.contentHash)}`,
  version: 1,
  metadata: {
    timestamp: isoTime(release.epoch),
    tools: [{ name: 'scripts/release', version: release.version }],
    component: {
      'bom-ref': 'kube-ipvs',
      type: 'application',
      name: release.name,
      version: release.version,
      description: release.description,
      licenses: [{ license: { id: release.license } }],
      purl: `pkg:npm/${release.name}@${release.version}`,
    },
  },
  components: components.map((component) => ({
    'bom-ref': component.purl,
    type: 'library',
    name: component.name,
    version: component.version,
    ...(component.license === undefined ? {} : { licenses: [licenseChoice(component.license)] }),
    ...(component.hashes.length === 0
      ? {}
      : { hashes: component.hashes.map(({ algorithm, hex }) => ({ alg: algorithm, content: hex })) }),
    purl: component.purl,
    ...(component.cpe === undefined ? {} : { cpe: component.cpe }),
    properties: [{ name: 'kube-ipvs:within', value: component.within }],
  })),
  dependencies: [{ ref: 'kube-ipvs', dependsOn: components.map(({ purl }) => purl) }],
});

const licenseChoice = (license) =>
  / (AND|OR|WITH) /.test(license) ? { expression: license } : { license: { id: license } };

const reference = (category, type, locator) => ({
  referenceCategory: category,
  referenceType: type,
  referenceLocator: locator,
});

const spdxPackage = (component, id) => ({
  SPDXID: id,
  name: component.name,
  versionInfo: component.version,
  downloadLocation: 'NOASSERTION',
  filesAnalyzed: false,
  licenseConcluded: 'NOASSERTION',
  licenseDeclared: component.license ?? 'NOASSERTION',
  copyrightText: 'NOASSERTION',
  ...(component.within === undefined ? {} : { comment: `In: ${component.within}` }),
  ...(component.hashes.length === 0
    ? {}
    : {
        checksums: component.hashes.map(({ algorithm, hex }) => ({
          algorithm: algorithm.replace('-', ''),
          checksumValue: hex,
        })),
      }),
  externalRefs: [
    reference('PACKAGE-MANAGER', 'purl', component.purl),
    ...(component.cpe === undefined ? [] : [reference('SECURITY', 'cpe23Type', component.cpe)]),
  ],
});

/** SPDX 2.3 (ISO/IEC 5962). */
export const spdx = (release, components) => {
  const top = 'SPDXRef-kube-ipvs';
  const packages = components.map((component, index) => spdxPackage(component, `SPDXRef-Part-${index + 1}`));
  const described = { ...release, purl: `pkg:npm/${release.name}@${release.version}`, hashes: [] };
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `${release.name}-${release.version}`,
    documentNamespace: `https://kube-ipvs.dev/spdx/${release.name}-${release.version}-${uuidOf(release.contentHash)}`,
    creationInfo: {
      created: isoTime(release.epoch),
      creators: [`Tool: scripts-release-${release.version}`],
    },
    documentDescribes: [top],
    packages: [spdxPackage(described, top), ...packages],
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: top },
      ...packages.map(({ SPDXID }) => ({
        spdxElementId: top,
        relationshipType: 'CONTAINS',
        relatedSpdxElement: SPDXID,
      })),
    ],
  };
};
