// The npm packages whose code is in the bundle, from the metafile of esbuild.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** `node_modules/a/node_modules/@b/c/lib/x.js` → `node_modules/a/node_modules/@b/c`; undefined for files of this repository. */
const packageFolder = (input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];

/** Packages `{ folder, name, version, license }` by the folder that has them, in its order. */
export const bundledPackages = (root, { inputs }) => {
  const folders = new Set(Object.keys(inputs).flatMap((input) => packageFolder(input) ?? []));
  return [...folders].toSorted().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    return { folder, name, version, license };
  });
};

const isNotice = (name) => /^(licen[cs]e|copying|notice)(\.(md|txt))?$/i.test(name);

const noticesInFolder = (root, folder) =>
  readdirSync(join(root, folder))
    .filter(isNotice)
    .toSorted()
    .map((file) => readFileSync(join(root, folder, file), 'utf8').trim());

/** The comments with a copyright at the head of the files that are in the bundle, for packages without a licence file. */
const noticesInFiles = (root, folder, inputs) => {
  const heads = Object.keys(inputs)
    .filter((input) => packageFolder(input) === folder)
    .map((input) => /^(?:\/\/.*\n)+/.exec(readFileSync(join(root, input), 'utf8'))?.[0] ?? '')
    .filter((head) => /copyright/i.test(head))
    .map((head) => head.replaceAll(/^\/\/ ?/gm, '').trim());
  return [...new Set(heads)].toSorted();
};

/** The licences of the packages as their authors wrote them. Throws if a package has none. */
export const thirdPartyNotices = (root, packages, { inputs }) => {
  const sections = packages.map(({ folder, name, version, license }) => {
    const inFolder = noticesInFolder(root, folder);
    const texts = inFolder.length > 0 ? inFolder : noticesInFiles(root, folder, inputs);
    if (texts.length === 0) throw new Error(`${folder} has no licence text, but the bundle has its code`);
    return [`${name} ${version} (${license})`, ...texts].join('\n\n');
  });
  const title =
    'dist/kube-ipvs.js and dist/chunks contain code of these packages. The file LICENSE has the text of the Apache License 2.0.';
  return `${[title, ...sections].join(`\n\n${'-'.repeat(78)}\n\n`)}\n`;
};
