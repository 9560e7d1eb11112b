// The npm package of a release: dist/ with the native modules for both architectures, and their source for other machines.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nativeModules } from '../container-image/root-files.mjs';
import { archiveOf, filesBelow } from './archive.mjs';

/** What the checkout's package.json has in common with that of the package. Everything else is for building. */
const sharedFields = [
  'name',
  'version',
  'description',
  'keywords',
  'license',
  'author',
  'type',
  'bin',
  'engines',
  'os',
  'cpu',
];

/** The bundle has the code of all packages, so the package depends on none. */
const manifestOf = (checkout) => ({
  ...Object.fromEntries(sharedFields.flatMap((name) => (name in checkout ? [[name, checkout[name]]] : []))),
  scripts: { install: 'node scripts/build-native.mjs --unless-prebuilt' },
});

const shipped = [
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'dist/kube-ipvs.js',
  'dist/THIRD-PARTY-NOTICES.txt',
  'native-shims/native-shims.c',
  'native-shims/node-api.h',
  'scripts/build-native.mjs',
];

/** The source of netlink.node, which scripts/build-native.mjs compiles where no binary fits. */
const netlinkSource = {
  'binding.cc': 'netlink/src/binding.cc',
  'LICENSE.netlink': 'netlink/LICENSE',
  'napi.h': 'node-addon-api/napi.h',
  'napi-inl.h': 'node-addon-api/napi-inl.h',
  'napi-inl.deprecated.h': 'node-addon-api/napi-inl.deprecated.h',
  'LICENSE.node-addon-api': 'node-addon-api/LICENSE.md',
};

export const npmPackage = (root) => {
  const read = (path) => readFileSync(join(root, path));
  const manifest = manifestOf(JSON.parse(read('package.json')));
  return archiveOf(
    [
      ['package/package.json', `${JSON.stringify(manifest, undefined, 2)}\n`],
      ...shipped.map((path) => [`package/${path}`, read(path)]),
      ...filesBelow(join(root, 'dist/chunks'), 'package/dist/chunks'),
      ...filesBelow(join(root, 'dist/web'), 'package/dist/web'),
      ...filesBelow(join(root, 'docs'), 'package/docs'),
      ...['x64', 'arm64'].flatMap((arch) =>
        nativeModules(arch).map(([name, path]) => [`package/dist/${arch}/${name}`, readFileSync(path)]),
      ),
      ...Object.entries(netlinkSource).map(([name, path]) => [
        `package/native-shims/netlink/${name}`,
        read(`node_modules/${path}`),
      ]),
    ],
    ['package/dist/kube-ipvs.js'],
  );
};
