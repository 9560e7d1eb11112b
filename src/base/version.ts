declare const KUBE_IPVS_VERSION: string | undefined;

/** The version in package.json, put here by the build; `development` where the program runs unbundled. */
export const version: string = typeof KUBE_IPVS_VERSION === 'string' ? KUBE_IPVS_VERSION : 'development';
