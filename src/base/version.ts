declare const KUBE_IPVS_VERSION: string | undefined;
declare const KUBE_IPVS_DATE: string | undefined;

/** The version in package.json, inserted by the build; `development` in an unbundled program. */
export const version: string = typeof KUBE_IPVS_VERSION === 'string' ? KUBE_IPVS_VERSION : 'development';

/** The date of the built commit, as 2026-11-23; 1970-01-01 in an unbundled program. */
export const releaseDate: string = typeof KUBE_IPVS_DATE === 'string' ? KUBE_IPVS_DATE : '1970-01-01';
