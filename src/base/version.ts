declare const KUBE_IPVS_VERSION: string | undefined;
declare const KUBE_IPVS_DATE: string | undefined;

/** The version in package.json, put here by the build; `development` where the program runs unbundled. */
export const version: string = typeof KUBE_IPVS_VERSION === 'string' ? KUBE_IPVS_VERSION : 'development';

/** The day of the commit that was built, as 2026-11-23; the first of all where the program runs unbundled. */
export const releaseDate: string = typeof KUBE_IPVS_DATE === 'string' ? KUBE_IPVS_DATE : '1970-01-01';
